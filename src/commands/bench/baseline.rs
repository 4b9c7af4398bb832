//! What a plain Postgres does with the same data: tables of the product's shape in a schema of
//! their own, which every ratio of the report is measured against. SQL stands here because the
//! baseline is SQL; nothing of the product is used.

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};
use sqlx::postgres::{PgConnection, PgPool, PgPoolCopyExt};
use sqlx::{Connection, Executor};
use uuid::Uuid;

use crate::commands::seed::agency::{Agency, Cell};
use crate::commands::seed::tables::Table;

/// A megabyte a message keeps memory flat and the round trips few.
const CHUNK_BYTES: usize = 1 << 20;

const MAKE: &str = r#"
DROP SCHEMA IF EXISTS estatebase_bench CASCADE;
CREATE SCHEMA estatebase_bench;
CREATE TABLE estatebase_bench.workspaces (
    id uuid PRIMARY KEY, seq bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE estatebase_bench.items (
    workspace_id uuid NOT NULL, list_id uuid NOT NULL, id uuid NOT NULL,
    version bigint NOT NULL, seq bigint NOT NULL,
    "values" jsonb COMPRESSION lz4 NOT NULL,
    created_at timestamptz NOT NULL, created_by uuid NOT NULL,
    updated_at timestamptz NOT NULL, updated_by uuid NOT NULL, deleted_at timestamptz,
    PRIMARY KEY (workspace_id, list_id, id)
) WITH (fillfactor = 70, toast_tuple_target = 4080);
CREATE TABLE estatebase_bench.events (
    workspace_id uuid NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL,
    kind text NOT NULL, actor_id uuid NOT NULL, payload jsonb NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
INSERT INTO estatebase_bench.workspaces VALUES ('00000000-0000-7000-8000-000000000001', 0);
"#;

const COPY: &str = r#"COPY estatebase_bench.items
    (workspace_id, list_id, id, version, seq, "values", created_at, created_by, updated_at, updated_by)
    FROM STDIN WITH (FORMAT binary)"#;

/// The signature, no flags, no extension (PostgreSQL manual, COPY, Binary Format).
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
const COLUMNS: i16 = 10;
const JSONB_VERSION: u8 = 1;

/// Rows ready to be copied: the whole file of the binary format, in chunks.
pub struct Rows {
    pub count: u64,
    chunks: Vec<Bytes>,
}

/// Makes the schema anew.
///
/// # Errors
/// When the database refuses.
pub async fn make(database: &str) -> anyhow::Result<()> {
    let mut connection = connect(database).await?;
    connection.execute(sqlx::raw_sql(MAKE)).await?;
    Ok(connection.close().await?)
}

/// Drops the schema.
///
/// # Errors
/// When the database refuses.
pub async fn drop(database: &str) -> anyhow::Result<()> {
    let mut connection = connect(database).await?;
    let statement = sqlx::raw_sql("DROP SCHEMA IF EXISTS estatebase_bench CASCADE");
    connection.execute(statement).await?;
    Ok(connection.close().await?)
}

/// The id of the baseline's one workspace; its list has it too.
pub fn workspace() -> Uuid {
    numbered(1)
}

/// The id of item `number`, from 1.
pub fn numbered(number: u64) -> Uuid {
    Uuid::from_u64_pair(0x7000, (0b10 << 62) | number)
}

impl Rows {
    /// The agency's properties, keyed as the product stores them, encoded before any clock runs.
    ///
    /// # Errors
    /// When a row is beyond the format's limits.
    pub fn encode(agency: Agency) -> anyhow::Result<Self> {
        let mut chunks = Vec::new();
        let mut chunk = BytesMut::from(HEADER);
        let mut count = 0;
        for row in agency.rows(Table::Properties) {
            count += 1;
            encode_row(&mut chunk, count, &stored(&row))?;
            if chunk.len() >= CHUNK_BYTES {
                chunks.push(chunk.split().freeze());
            }
        }
        chunk.put_i16(TRAILER);
        chunks.push(chunk.freeze());
        Ok(Self { count, chunks })
    }

    /// Copies all rows in one statement, one transaction. Returns the number of rows.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn copy(&self, pool: &PgPool) -> anyhow::Result<u64> {
        let mut copy = pool.copy_in_raw(COPY).await?;
        for chunk in &self.chunks {
            copy.send(chunk.as_ref()).await?;
        }
        Ok(copy.finish().await?)
    }
}

async fn connect(database: &str) -> anyhow::Result<PgConnection> {
    PgConnection::connect(database)
        .await
        .context("connecting to the database of the baseline")
}

/// The row as JSON under short column ids, `0` to `e`.
fn stored(row: &[Cell]) -> Value {
    let cells = row.iter().enumerate().filter_map(|(column, cell)| {
        let id = u32::try_from(column).ok()?;
        Some((char::from_digit(id, 36)?.to_string(), cell.to_json()?))
    });
    Value::Object(cells.collect::<Map<_, _>>())
}

fn encode_row(out: &mut BytesMut, number: u64, values: &Value) -> anyhow::Result<()> {
    let json = serde_json::to_vec(values)?;
    out.put_i16(COLUMNS);
    put_uuid(out, workspace());
    put_uuid(out, workspace());
    put_uuid(out, numbered(number));
    put_i64(out, 1);
    put_i64(out, 0);
    out.put_i32(i32::try_from(json.len() + 1)?);
    out.put_u8(JSONB_VERSION);
    out.put_slice(&json);
    for _ in ["created", "updated"] {
        // Microseconds since 2000-01-01.
        put_i64(out, 820_454_400_000_000);
        put_uuid(out, workspace());
    }
    Ok(())
}

fn put_uuid(out: &mut BytesMut, id: Uuid) {
    out.put_i32(16);
    out.put_slice(id.as_bytes());
}

fn put_i64(out: &mut BytesMut, number: i64) {
    out.put_i32(8);
    out.put_i64(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_binary_format_begins_and_ends_as_the_manual_says() {
        let rows = Rows::encode(Agency {
            seed: 1,
            properties: 2000,
        })
        .unwrap();
        assert_eq!(rows.count, 2000);
        let all = rows.chunks.concat();
        assert_eq!(&all[..11], b"PGCOPY\n\xff\r\n\0");
        assert_eq!(&all[11..19], [0; 8]);
        assert_eq!(&all[19..21], [0, 10]);
        assert_eq!(&all[all.len() - 2..], [0xff, 0xff]);
        assert!(
            rows.chunks
                .iter()
                .all(|chunk| chunk.len() < 2 * CHUNK_BYTES)
        );
    }

    #[test]
    fn items_are_numbered_as_the_pgbench_script_numbers_them() {
        assert_eq!(
            numbered(1).to_string(),
            "00000000-0000-7000-8000-000000000001"
        );
        assert_eq!(
            numbered(255).to_string(),
            "00000000-0000-7000-8000-0000000000ff"
        );
    }

    #[test]
    fn a_row_is_keyed_by_short_ids() {
        let agency = Agency {
            seed: 1,
            properties: 1,
        };
        let stored = stored(&agency.row(Table::Properties, 0));
        assert!(stored["5"].is_u64() && stored["e"].is_string());
    }
}
