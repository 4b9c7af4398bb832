//! What kind of file it is, told from its first bytes, not from its name; what the sender calls it
//! only decides where the bytes leave a doubt. Pure: it opens nothing.

use serde::{Deserialize, Serialize};

use super::Refusal;

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// CSV, TSV and their like.
    #[default]
    Delimited,
    /// One array of objects, or objects one after the other (JSON Lines).
    Json,
    Xlsx,
    Xls,
    Ods,
    Vcard,
}

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of some kind; which one is told once it is UTF-8: see [`text_format`].
    Text,
    /// A zip archive, which workbooks are too.
    Zip,
    Gzip,
    /// An OLE compound file: an old workbook, or an encrypted one.
    Compound,
}

/// The kind of a file by its first bytes. Refuses `unknown_format` for what holds no table.
pub fn recognise(sample: &[u8]) -> Result<Kind, Refusal> {
    for (mark, kind) in [
        (&b"PK\x03\x04"[..], Kind::Zip),
        (b"PK\x05\x06", Kind::Zip),
        (b"\x1F\x8B", Kind::Gzip),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Kind::Compound),
    ] {
        if sample.starts_with(mark) {
            return Ok(kind);
        }
    }
    for (mark, name) in [
        (&b"%PDF-"[..], "a PDF document"),
        (b"\x89PNG", "a picture"),
        (b"\xFF\xD8\xFF", "a picture"),
        (b"GIF8", "a picture"),
        (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"SQLite format 3\0", "a database"),
    ] {
        if sample.starts_with(mark) {
            return Err(Refusal::file(
                "unknown_format",
                format!("The file is {name}, which holds no table"),
            ));
        }
    }
    Ok(Kind::Text)
}

/// The format of a UTF-8 text. A text that its sender calls delimited is nothing else.
pub fn text_format(sample: &[u8], declared: Option<Format>) -> Format {
    if declared == Some(Format::Delimited) {
        return Format::Delimited;
    }
    let text = sample.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(sample);
    let text = text.trim_ascii_start();
    if text
        .get(..11)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"BEGIN:VCARD"))
    {
        return Format::Vcard;
    }
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    let object = |text: &[u8]| {
        text.starts_with(b"{")
            && matches!(
                text.get(1..).unwrap_or_default().trim_ascii_start().first(),
                Some(b'"' | b'}')
            )
    };
    if object(text) || text.starts_with(b"[") && (object(inner) || inner.starts_with(b"]")) {
        return Format::Json;
    }
    Format::Delimited
}

impl Format {
    /// The format that a media type names for certain (RFC 9110, section 8.3); None for types that
    /// say nothing or that senders use for anything (`application/vnd.ms-excel` of a CSV file).
    pub fn of_media_type(essence: &str) -> Option<Format> {
        Some(match essence {
            "text/csv" | "text/tab-separated-values" => Format::Delimited,
            "application/json" | "application/x-ndjson" | "application/jsonl" => Format::Json,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Format::Xlsx,
            "application/vnd.oasis.opendocument.spreadsheet" => Format::Ods,
            "text/vcard" | "text/x-vcard" => Format::Vcard,
            _ => return None,
        })
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Format::Delimited => "delimited text",
            Format::Json => "JSON",
            Format::Xlsx => "an XLSX workbook",
            Format::Xls => "an XLS workbook",
            Format::Ods => "an ODS workbook",
            Format::Vcard => "vCards",
        }
    }

    /// Refuses `wrong_content_type`: the sender calls it something else. Who sends a workbook as CSV
    /// has it recognised all the same: browsers do so.
    pub fn agrees_with(self, declared: Option<Format>) -> Result<(), Refusal> {
        match declared {
            None | Some(Format::Delimited) => Ok(()),
            Some(declared) if declared == self => Ok(()),
            Some(declared) => Err(Refusal::file(
                "wrong_content_type",
                format!(
                    "The file was sent as {}, but it is {}",
                    declared.name(),
                    self.name()
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_by_its_first_characters() {
        for (text, format) in [
            (&b"a,b\n1,2\n"[..], Format::Delimited),
            (b"[{\"a\":1}]", Format::Json),
            (b" \n[ ]", Format::Json),
            (b"\xEF\xBB\xBF{ \"a\":1}\n{\"a\":2}", Format::Json),
            (b"[a],{b}\n", Format::Delimited),
            (b"{x},y\n", Format::Delimited),
            (b"begin:vcard\r\n", Format::Vcard),
            (b"begin:vca", Format::Delimited),
        ] {
            assert_eq!(text_format(text, None), format, "{text:?}");
            assert_eq!(
                text_format(text, Some(Format::Delimited)),
                Format::Delimited
            );
        }
    }

    #[test]
    fn what_holds_no_table_is_refused_by_name() {
        assert_eq!(recognise(b"%PDF-1.7").unwrap_err().code, "unknown_format");
        assert_eq!(recognise(b"PK\x03\x04..").unwrap(), Kind::Zip);
        assert_eq!(recognise(b"a,b").unwrap(), Kind::Text);
        let wrong = Format::Delimited.agrees_with(Some(Format::Xlsx));
        assert_eq!(wrong.unwrap_err().code, "wrong_content_type");
        assert!(Format::Xlsx.agrees_with(Some(Format::Delimited)).is_ok());
    }
}
