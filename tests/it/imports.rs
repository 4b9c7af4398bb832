//! Imports over HTTP: real files exactly, everything else refused with nothing stored, and a server
//! that dies in the middle.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::app::{Answer, Person, TestApp};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Waits for a job's end.
pub(crate) async fn ended(person: &Person, workspace: &str, queued: &Answer) -> Value {
    let id = queued.is(202)["id"].as_str().unwrap();
    let begun = Instant::now();
    loop {
        let job = person.get(&format!("{workspace}/jobs/{id}")).await;
        let job = job.is(200).clone();
        if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_sales_become_a_list_and_every_row_is_there() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let file = fixtures().join("listings-sacramento/Sacramentorealestatetransactions.csv");
    let path = format!("{workspace}/imports?list_name=Sales");
    let queued = owner
        .upload(&path, "text/csv", std::fs::read(file).unwrap())
        .await;
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["counts"]["read"], 985);
    assert_eq!(job["counts"]["created"], 985);
    let list = format!("{workspace}/lists/{}", job["list_id"].as_str().unwrap());
    let page = owner
        .get(&format!("{list}/items?limit=1000&count=exact"))
        .await;
    assert_eq!(page.is(200)["count"], 985);
    let first = &page.body["data"][0]["values"];
    assert_eq!(first["street"], "3526 HIGH ST");
    assert_eq!(first["price"], 59222);
    let last = &page.body["data"][984]["values"];
    assert_eq!(last["street"], "3882 YELLOWSTONE LN");
    // The log alone tells of each row.
    let id = page.body["data"][500]["id"].as_str().unwrap();
    let history = owner.get(&format!("{list}/items/{id}/history")).await;
    let entry = &history.is(200)["data"][0];
    assert_eq!(entry["kind"], "items.imported");
    assert_eq!(
        entry["change"]["set"]["street"],
        page.body["data"][500]["values"]["street"]
    );
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_with_every_row_accounted_for_or_leaves_nothing_behind() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let folder = fixtures().join("messy-csv");
    let expected = std::fs::read(folder.join("EXPECT.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let (mut imported, mut asked) = (0, 0);
    for (name, expect) in expected["files"].as_object().unwrap() {
        // Behind all that the lane was doing: a job's end can be read a moment before its position.
        let renamed = owner.patch(&workspace, json!({"name": name}));
        renamed.await.is(200);
        let before = owner.seq(&workspace).await;
        let path = format!("{workspace}/imports?list_name=Messy");
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let answer = owner.upload(&path, "text/csv", bytes).await;
        let wanted = expect["outcome"].as_str().unwrap();
        if answer.status == 202 {
            let job = ended(&owner, &workspace, &answer).await;
            assert_ne!(wanted, "reject", "{name}");
            if job["state"] == "needs_input" {
                assert_eq!(job["list_id"], Value::Null, "{name}: {job}");
                asked += 1;
                continue;
            }
            assert_eq!(job["state"], "succeeded", "{name}: {job}");
            let count = |name: &str| job["counts"][name].as_i64().unwrap();
            assert!(wanted != "clean" || count("failed") == 0, "{name}: {job}");
            let all = count("created") + count("skipped") + count("failed");
            assert_eq!(Some(all), expect["data_rows"].as_i64(), "{name}: {job}");
            imported += 1;
        } else {
            assert_ne!(wanted, "clean", "{name}: {}", answer.text);
            assert!(answer.status.is_client_error(), "{name}: {}", answer.text);
            assert!(
                answer.body["errors"][0]["code"].is_string(),
                "{name}: {}",
                answer.text
            );
            assert_eq!(owner.seq(&workspace).await, before, "{name} left something");
        }
        println!("{name}: {}", answer.status);
    }
    assert_eq!((imported, asked), (38, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_is_reported_and_harms_no_other() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner
        .list(&workspace, &[("Price", "currency"), ("Name", "text")])
        .await;
    let file = "Name,Price\nOak,1\nElm,cheap\nAsh,\"$1,250,000\"\n";
    let queued = owner
        .upload(&format!("{list}/imports"), "text/csv", file.into())
        .await;
    let job = ended(&owner, &workspace, &queued).await;
    let counts = &job["counts"];
    assert_eq!(
        (&counts["created"], &counts["failed"]),
        (&json!(2), &json!(1)),
        "{job}"
    );
    let path = format!("{workspace}/jobs/{}/errors", job["id"].as_str().unwrap());
    let errors = owner.get(&path).await;
    let error = &errors.is(200)["data"][0];
    assert_eq!(
        (&error["row"], &error["column"], &error["value"]),
        (&json!(2), &json!("Price"), &json!("cheap"))
    );
    assert!(
        owner
            .get(&format!("{path}?format=csv"))
            .await
            .text
            .contains("2,Price,cheap,not_a_number")
    );
    // With `abort` the same file leaves nothing.
    let path = format!("{list}/imports?on_error=abort");
    let queued = owner.upload(&path, "text/csv", file.into()).await;
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(
        owner
            .get(&format!("{list}/items?count=exact"))
            .await
            .is(200)["count"],
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_replaced_in_mid_import_loses_and_doubles_no_row() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let list = owner.list(&workspace, &[("Number", "number")]).await;
    let mut file = String::from("Number\n");
    for n in 0..40_000 {
        let _ = writeln!(file, "{n}");
    }
    let queued = owner
        .upload(&format!("{list}/imports"), "text/csv", file.into())
        .await;
    let id = queued.is(202)["id"].as_str().unwrap().to_owned();
    while owner.get(&format!("{workspace}/jobs/{id}")).await.is(200)["counts"]["created"] == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = app.again();
    drop(app);
    let owner = owner.at(&second);
    let job = ended(&owner, &workspace, &queued).await;
    assert_eq!(job["counts"]["created"], 40_000, "{job}");
    let mut seen = HashSet::new();
    let mut cursor = String::new();
    loop {
        let page = owner.get(&format!("{list}/items?limit=1000{cursor}")).await;
        for item in page.is(200)["data"].as_array().unwrap() {
            assert!(seen.insert(item["values"]["Number"].as_i64().unwrap()));
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 40_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_becomes_a_list_of_its_rows() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let file = |name: &str| std::fs::read(fixtures().join(name)).unwrap();
    let sacramento = file("listings-sacramento/Sacramento_first240.csv");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&sacramento).unwrap();
    let gzip = gzip.finish().unwrap();
    let xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    for (parameters, media, bytes, rows, key, first) in [
        (
            "",
            "text/csv",
            sacramento.clone(),
            240,
            "city",
            json!("SACRAMENTO"),
        ),
        (
            "",
            "application/gzip",
            gzip,
            240,
            "city",
            json!("SACRAMENTO"),
        ),
        (
            "",
            "application/zip",
            zipped(&[("a/s.csv", &sacramento)]),
            240,
            "zip",
            json!("95838"),
        ),
        (
            "",
            "text/csv",
            file("messy-csv/csvkit/test_latin1.csv"),
            2,
            "b",
            json!(2),
        ),
        (
            "",
            "text/csv",
            file("messy-csv/csvkit/test_utf16_little.csv"),
            2,
            "b",
            json!(2),
        ),
        (
            "",
            xlsx,
            file("messy-xlsx/calamine/inventory-table.xlsx"),
            4,
            "Type",
            json!("Apple"),
        ),
        (
            "&sheet=Sheet1&header_row=1",
            "application/vnd.oasis.opendocument.spreadsheet",
            file("messy-xlsx/sheetjs/crlf.ods"),
            2,
            "Normal",
            json!("Formula"),
        ),
        (
            "",
            "application/json",
            file("json/testjson.json"),
            5,
            "text",
            json!("Chicago Reader"),
        ),
        (
            "&nested=flatten",
            "application/json",
            file("json/testjson_nested.json"),
            2,
            "nested_nested_integer",
            json!(40),
        ),
        (
            "",
            "application/x-ndjson",
            file("json/testjson_multiline.json"),
            2,
            "b",
            json!(3),
        ),
        (
            "",
            "text/vcard",
            file("contacts/vcards/gmail-list.vcf"),
            3,
            "FullName",
            json!("Arnold Smith"),
        ),
    ] {
        let path = format!("{workspace}/imports?list_name=L{parameters}");
        let answer = owner.upload(&path, media, bytes).await;
        let job = ended(&owner, &workspace, &answer).await;
        assert_eq!(job["state"], "succeeded", "{media}: {job}");
        assert_eq!(job["counts"]["created"], rows, "{media}: {job}");
        let list = format!("{workspace}/lists/{}", job["list_id"].as_str().unwrap());
        let page = owner.get(&format!("{list}/items?limit=1")).await;
        assert_eq!(
            page.is(200)["data"][0]["values"][key],
            first,
            "{media}: {}",
            page.text
        );
    }
    owner.verified(&workspace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_a_file_is_taken_like_the_file_alone() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let path = format!("{workspace}/imports?list_name=Form");
    let form = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"Öl & Gas.csv\"\r\nContent-Type: text/csv\r\n\r\nName,Price\nOak,1\n\r\n--x--\r\n";
    let media = "multipart/form-data; boundary=x";
    let answer = owner.upload(&path, media, form.into()).await;
    let job = ended(&owner, &workspace, &answer).await;
    assert_eq!(job["counts"]["created"], 1, "{job}");
    assert_eq!(job["file_name"], "Öl & Gas.csv");
    let plan = &job["plan"];
    assert_eq!(
        (&plan["format"], &plan["rows"]),
        (&json!("delimited"), &json!(1))
    );
    let price = &plan["columns"][1];
    assert_eq!(
        (&price["key"], &price["type"]),
        (&json!("Price"), &json!("number"))
    );
    let none = "--x\r\nContent-Disposition: form-data; name=\"else\"\r\n\r\n1\r\n--x--\r\n";
    owner.upload(&path, media, none.into()).await.is(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_or_broken_file_is_refused_by_name_and_nothing_stays() {
    let app = TestApp::new().await;
    let owner = app.person("owner").await;
    let workspace = owner.workspace().await;
    let before = owner.seq(&workspace).await;
    let zeros = vec![b'0'; 100 << 20];
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&zeros).unwrap();
    let bomb = bomb.finish().unwrap();
    let inner = zipped(&[("a.csv", b"a,b\n1,2\n")]);
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\"><!ENTITY x SYSTEM \"file:///etc/passwd\">]><sst><si><t>&b;&x;</t></si></sst>";
    let book = zipped(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/sharedStrings.xml", laughs.as_bytes()),
    ]);
    let many: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let entries: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let wide = format!("{}b\n", "a,".repeat(100_000));
    for (name, media, bytes, code) in [
        (
            "a bomb",
            "application/gzip",
            bomb.clone(),
            "expands_too_far",
        ),
        (
            "a bomb in a zip",
            "application/zip",
            zipped(&[("b.csv", &zeros)]),
            "expands_too_far",
        ),
        (
            "a zip in a zip",
            "application/zip",
            zipped(&[("a.zip", &inner)]),
            "nested_archive",
        ),
        (
            "ten thousand files",
            "application/zip",
            zipped(&entries),
            "too_many_entries",
        ),
        (
            "a cut archive",
            "application/gzip",
            bomb[..100].to_vec(),
            "broken_archive",
        ),
        ("entities", "", book, "broken_workbook"),
        (
            "a password",
            "",
            std::fs::read(fixtures().join("messy-xlsx/calamine/pass_protected.xlsx")).unwrap(),
            "password_protected",
        ),
        (
            "cut JSON",
            "application/json",
            b"[{\"a\":1},\n {\"a\":".to_vec(),
            "bad_json",
        ),
        (
            "JSON of numbers",
            "application/json",
            b"[1,2]".to_vec(),
            "wrong_content_type",
        ),
        (
            "another type",
            "application/json",
            b"a,b\n1,2\n".to_vec(),
            "wrong_content_type",
        ),
        (
            "an open quote",
            "text/csv",
            b"a,b\n1,\"2\n".to_vec(),
            "unclosed_quote",
        ),
        (
            "100 000 columns",
            "text/csv",
            wide.into_bytes(),
            "header_too_long",
        ),
        ("nothing", "text/csv", Vec::new(), "empty_file"),
        (
            "neither UTF-8 nor Latin",
            "text/csv",
            b"a\n\xC3\xA9\xFF\n".to_vec(),
            "unknown_encoding",
        ),
        ("a picture", "", b"\x89PNG\r\n".to_vec(), "unknown_format"),
    ] {
        let path = format!("{workspace}/imports?list_name=Bad");
        let answer = owner.upload(&path, media, bytes).await;
        let found = answer.is(422)["errors"][0]["code"].clone();
        assert_eq!(found, code, "{name}: {}", answer.text);
    }
    let path = format!("{workspace}/imports?list_name=Bad&encoding=utf-8");
    let card = b"BEGIN:VCARD\nFN:Jos\xE9\nEND:VCARD\n".to_vec();
    let answer = owner.upload(&path, "text/vcard", card).await;
    assert_eq!(answer.is(422)["errors"][0]["code"], "wrong_encoding");
    owner
        .upload(&path, "image/png", b"x".to_vec())
        .await
        .is(415);
    assert_eq!(owner.seq(&workspace).await, before);
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
