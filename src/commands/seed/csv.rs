//! A table of the agency as a CSV file (RFC 4180), written row by row.

use std::io::Write;

use super::agency::Agency;
use super::tables::Table;

/// Writes a header of column keys and every row. Returns the number of rows.
///
/// # Errors
/// When `out` can't be written.
pub fn write_csv(agency: Agency, table: Table, out: impl Write) -> csv::Result<u64> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(table.fields().iter().map(|field| field.key))?;
    let mut rows = 0;
    for row in agency.rows(table) {
        writer.write_record(row.iter().map(ToString::to_string))?;
        rows += 1;
    }
    writer.flush()?;
    Ok(rows)
}
