//! Filters and sorts mean the same in SQL as in memory: pages read from Postgres, put together, are
//! the items that `Filter::matches` and `Sort::compare` choose, in their order, each once.
//!
//! Needs a superuser's URL in `TEST_DATABASE_URL`; makes a database of its own and drops it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use estatebase::domain::aggregate::{Figure, Figures, Group, LevelIn, MetricIn};
use estatebase::domain::cell::{Cell, ChoiceId, ColumnId, read_stored};
use estatebase::domain::columns::{
    Choice, Choices, Column, ColumnSet, ColumnType, Options, ParseContext,
};
use estatebase::domain::filter::Filter;
use estatebase::domain::fold::fold;
use estatebase::domain::item::Item;
use estatebase::domain::schema::List;
use estatebase::domain::search::{Search, Selection, searched};
use estatebase::domain::sort::{Position, Sort};
use estatebase::ids::{ItemId, ListId, UserId, WorkspaceId};
use estatebase::store::items_query::PageOf;
use estatebase::store::{Db, Purpose, Tx, aggregate, items_query};
use migration::{Migrator, MigratorTrait as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sea_orm::SqlxPostgresConnector;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

const ROWS: usize = 250;
const QUESTIONS: usize = 500;

/// A migrated database with nothing in it. Its collation is ICU's, which orders texts unlike us.
struct Database {
    admin: Url,
    name: String,
    owner: PgPool,
    app: Db,
}

impl Database {
    /// Runs a test on a database of its own, which is dropped when the test fails too.
    async fn with<T: Future<Output = ()> + Send + 'static>(test: impl FnOnce(PgPool, Db) -> T) {
        let database = Self::make().await;
        let done = tokio::spawn(test(database.owner.clone(), database.app.clone())).await;
        database.drop().await;
        if let Err(failed) = done {
            std::panic::resume_unwind(failed.into_panic());
        }
    }

    async fn make() -> Self {
        let admin: Url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL: a superuser's URL")
            .parse()
            .unwrap();
        let name = format!("query_agrees_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(admin.as_str()).await.unwrap();
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .unwrap();
        let mut url = admin.clone();
        url.set_path(&name);
        let owner = PgPoolOptions::new()
            .max_connections(2)
            .connect(url.as_str())
            .await
            .unwrap();
        let schema = SqlxPostgresConnector::from_sqlx_postgres_pool(owner.clone());
        Migrator::up(&schema, None).await.unwrap();
        // Row-level security binds the app's role, not a superuser.
        url.query_pairs_mut()
            .append_pair("options", "-c role=estatebase_app");
        let app = Db::open(url.as_str(), 2).unwrap();
        Database {
            admin,
            name,
            owner,
            app,
        }
    }

    async fn drop(self) {
        self.app.close().await;
        self.owner.close().await;
        let mut connection = PgConnection::connect(self.admin.as_str()).await.unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

/// Texts that compare in surprising ways.
const TEXTS: [&str; 40] = [
    "Oak",
    "oak",
    "OAK",
    "oak ",
    " oak",
    "Oaks",
    "ß",
    "ẞ",
    "ss",
    "Straße",
    "STRASSE",
    "STRAẞE",
    "İstanbul",
    "istanbul",
    "ıstanbul",
    "Istanbul",
    "Σίσυφος",
    "ΣΊΣΥΦΟΣ",
    "σίσυφοσ",
    "é",
    "É",
    "e\u{301}",
    "E\u{301}",
    "🏠",
    "🏡 home",
    "\u{1F3E0}\u{FE0F}",
    "K",
    "k",
    "ſ",
    "S",
    "a\"b\\c",
    "100%",
    "a_b",
    "\u{10FFFF}",
    "\u{FFFD}",
    "tab\tnew\nline",
    "-",
    "a\u{1}b",
    "Ⅷ",
    "ⅷ",
];

/// Some text, among them long ones that differ only behind what is sorted.
fn text(rng: &mut StdRng) -> String {
    match rng.random_range(0..10) {
        0 => format!("{}{}", "Xy".repeat(500), TEXTS.choose(rng).unwrap()),
        1 => format!("{}é{}", "x".repeat(998), TEXTS.choose(rng).unwrap()),
        2..4 => (0..rng.random_range(1..4))
            .map(|_| *TEXTS.choose(rng).unwrap())
            .collect(),
        _ => (*TEXTS.choose(rng).unwrap()).to_owned(),
    }
}

/// The people that may stand anywhere; the first is who asks.
fn people() -> [UserId; 4] {
    [0x11, 0x2200, 0xA0 << 120, 0x0B << 120].map(|id| UserId(Uuid::from_u128(id)))
}

/// A value of a column as JSON: one that a cell may hold and a filter may ask for.
fn value(ty: ColumnType, rng: &mut StdRng) -> String {
    let one_of = |rng: &mut StdRng, values: &[&str]| (*values.choose(rng).unwrap()).to_owned();
    match ty {
        ColumnType::Link => unreachable!(),
        ColumnType::List => {
            let members: Vec<serde_json::Value> = (0..rng.random_range(1..4))
                .map(|_| match rng.random_range(0..6) {
                    0 => rng.random::<bool>().into(),
                    1 => rng.random_range(-3..3).into(),
                    2 => "2026-02-15".into(),
                    _ => text(rng).into(),
                })
                .collect();
            serde_json::to_string(&members).unwrap()
        }
        ColumnType::Text | ColumnType::LongText => serde_json::to_string(&text(rng)).unwrap(),
        ColumnType::Number
        | ColumnType::Currency
        | ColumnType::Percent
        | ColumnType::AutoNumber => one_of(
            rng,
            &[
                "0",
                "-0",
                "1",
                "1.0",
                "10",
                "9",
                "-1",
                "-10",
                "0.1",
                "0.10",
                "0.09",
                "1e-10",
                "1e27",
                "999999999999999",
                "-999999999999999",
                "0.000000000000001",
                "123456.789",
                "2",
                "2.5",
            ],
        ),
        ColumnType::Rating => rng.random_range(0..=5).to_string(),
        ColumnType::Checkbox => rng.random::<bool>().to_string(),
        ColumnType::Date => one_of(
            rng,
            &[
                r#""2026-02-15""#,
                r#""2026-02-16""#,
                r#""0001-01-01""#,
                r#""9999-12-31""#,
                r#""1999-12-31""#,
            ],
        ),
        ColumnType::DateTime | ColumnType::CreatedAt | ColumnType::UpdatedAt => one_of(
            rng,
            &[
                r#""2026-02-15T10:00:00Z""#,
                r#""2026-02-15T10:00:00.5Z""#,
                r#""2026-02-15T10:00:00.500001Z""#,
                r#""2026-02-15T10:00:01Z""#,
                r#""2026-02-15T11:00:00+01:00""#,
                r#""0001-01-01T00:00:00Z""#,
                r#""9999-12-31T23:59:59.999999Z""#,
                r#""2026-02-15T10:00:00.123Z""#,
            ],
        ),
        ColumnType::SingleSelect => format!("\"{}\"", CHOICES.choose(rng).unwrap()),
        ColumnType::MultiSelect => {
            let names: Vec<_> = (0..rng.random_range(1..4))
                .map(|_| *CHOICES.choose(rng).unwrap())
                .collect();
            serde_json::to_string(&names).unwrap()
        }
        ColumnType::Email => one_of(
            rng,
            &[
                r#""ann@example.com""#,
                r#""Ann@Example.com""#,
                r#""bob@example.org""#,
                r#""zoë@example.com""#,
            ],
        ),
        ColumnType::Phone => one_of(
            rng,
            &[
                r#""+14155550132""#,
                r#""(415) 555-0132""#,
                r#""916-555-0199""#,
            ],
        ),
        ColumnType::Url => one_of(
            rng,
            &[
                r#""https://example.com/A""#,
                r#""https://example.com/a""#,
                r#""http://example.org""#,
            ],
        ),
        ColumnType::Address => one_of(
            rng,
            &[
                r#"{"line1":"1 Main St","city":"Sacramento","region":"CA"}"#,
                r#"{"line1":"1 MAIN st","city":"sacramento","region":"ca"}"#,
                r#"{"city":"Zürich","country":"CH"}"#,
                r#"{"city":"ZÜRICH"}"#,
                r#"{"postal_code":"95814"}"#,
            ],
        ),
        ColumnType::Location => one_of(
            rng,
            &[
                r#"{"lat":38.5,"lon":-121.4}"#,
                r#"{"lat":38.5,"lon":-121.39999999999999}"#,
                r#"{"lat":-0.0,"lon":0}"#,
                r#"{"lat":0,"lon":1e-7}"#,
                r#"{"lat":-89.999999,"lon":180}"#,
                r#"{"lat":0.1,"lon":0.30000000000000004}"#,
            ],
        ),
        ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy => {
            let users: Vec<_> = (0..rng.random_range(1..3))
                .map(|_| *people().choose(rng).unwrap())
                .collect();
            serde_json::to_string(&users).unwrap()
        }
    }
}

const CHOICES: [&str; 5] = ["Active", "Pending", "Sold", "Withdrawn", "Canceled"];

/// Choices whose order is not that of their age.
fn choices() -> Choices {
    let choice = |at: usize, age: u32| Choice {
        id: ChoiceId::nth(age).unwrap(),
        name: CHOICES[at].to_owned(),
        color: "blue".to_owned(),
    };
    Choices::new(
        vec![
            choice(0, 40),
            choice(1, 3),
            choice(2, 36),
            choice(3, 0),
            choice(4, 12),
        ],
        41,
    )
}

/// Stored JSON that is of another kind than the column: an empty cell.
fn misfit(ty: ColumnType, rng: &mut StdRng) -> &'static str {
    let misfits: &[&str] = match ty {
        ty if ty.is_number() => &["\"5\"", "true", "[]", "{}", "null"],
        ColumnType::Checkbox => &["\"true\"", "1", "null"],
        ColumnType::MultiSelect | ColumnType::User | ColumnType::List => {
            &["\"x\"", "5", "{}", "[]", "null"]
        }
        ColumnType::Address => &[
            "{}",
            "5",
            "\"x\"",
            "{\"line1\":\"\"}",
            "{\"lat\":1,\"lon\":2}",
        ],
        ColumnType::Location => &["{}", "5", "{\"lat\":1}", "{\"line1\":\"x\"}", "[1,2]"],
        _ => &["5", "true", "[]", "{}", "\"\"", "null"],
    };
    misfits.choose(rng).unwrap()
}

/// A column of every type, with ids of one and of two digits.
fn columns() -> ColumnSet {
    let column = |(at, ty): (u32, ColumnType)| {
        let mut options = Options {
            multiple: ty == ColumnType::User,
            ..Options::default()
        };
        if ty.is_select() {
            options.choices = choices();
        }
        if ty == ColumnType::Phone {
            options.region = Some("US".to_owned());
        }
        Column {
            id: ColumnId::nth(25 + at).unwrap(),
            key: format!("K{at}"),
            name: ty.as_str().to_owned(),
            ty,
            options,
            required: false,
            unique: false,
            default: None,
            position: i32::try_from(at).unwrap(),
            deleted: false,
            replaced: false,
        }
    };
    // Links are rows of their own: tests/it/links.rs asks for them.
    let types = ColumnType::ALL.into_iter();
    let types = types.filter(|ty| *ty != ColumnType::Link);
    ColumnSet::new((0..).zip(types).map(column).collect())
}

fn list() -> List {
    let time = DateTime::UNIX_EPOCH;
    List {
        id: ListId(Uuid::from_u128(7)),
        name: "Everything".to_owned(),
        position: 0,
        columns: columns(),
        created_at: time,
        created_by: people()[0],
        updated_at: time,
        deleted_at: None,
    }
}

/// A stored cell, now and then empty, of another kind or with a choice that is gone.
fn stored(column: &Column, rng: &mut StdRng) -> Option<String> {
    let gone = ChoiceId::nth(1).unwrap();
    match rng.random_range(0..100) {
        0..20 => return None,
        20..24 => return Some(misfit(column.ty, rng).to_owned()),
        _ => {}
    }
    let mut cell = if column.ty == ColumnType::AutoNumber {
        Cell::Number(rng.random_range(1..30).into())
    } else if column.ty == ColumnType::List {
        return Some(value(column.ty, rng));
    } else {
        let json = value(column.ty, rng);
        column
            .parse_json(&json, &ParseContext { members: &|_| true })
            .expect(&json)?
    };
    match &mut cell {
        Cell::Choice(id) if rng.random_ratio(1, 6) => *id = gone,
        Cell::Choices(ids) if rng.random_ratio(1, 6) => ids.insert(0, gone),
        Cell::Choices(ids) if rng.random_ratio(1, 20) => *ids = vec![gone],
        _ => {}
    }
    let mut json = String::new();
    cell.write_stored(&mut json);
    Some(json)
}

fn moment(rng: &mut StdRng) -> DateTime<Utc> {
    let json = value(ColumnType::DateTime, rng);
    let text: String = serde_json::from_str(&json).unwrap();
    let time = DateTime::parse_from_rfc3339(&text).unwrap().to_utc();
    let micros = TimeDelta::microseconds(rng.random_range(-1..=1));
    time.checked_add_signed(micros)
        .filter(|time| (2000..3000).contains(&chrono::Datelike::year(time)))
        .unwrap_or(time)
}

/// Inserts random items as they are stored, and returns the living ones as they are read.
async fn fill(owner: &PgPool, workspace: WorkspaceId, list: &List, rng: &mut StdRng) -> Vec<Item> {
    let mut living = Vec::new();
    for _ in 0..ROWS {
        let mut json = String::from("{");
        for column in list.columns.iter().filter(|column| column.ty.is_stored()) {
            if let Some(cell) = stored(column, rng) {
                let comma = if json.len() > 1 { "," } else { "" };
                write!(json, "{comma}\"{}\":{cell}", column.id).unwrap();
            }
        }
        json.push('}');
        let item = Item {
            id: ItemId(Uuid::from_u128(rng.random())),
            version: 1,
            seq: 1,
            values: read_stored(&list.columns, &json),
            created_at: moment(rng),
            created_by: *people().choose(rng).unwrap(),
            updated_at: moment(rng),
            updated_by: *people().choose(rng).unwrap(),
            deleted_at: rng.random_ratio(1, 20).then_some(DateTime::UNIX_EPOCH),
        };
        sqlx::query(
            r#"INSERT INTO estatebase.items (workspace_id, list_id, id, version, seq, "values",
                   created_at, created_by, updated_at, updated_by, deleted_at)
               VALUES ($1, $2, $3, 1, 1, $4::jsonb, $5, $6, $7, $8, $9)"#,
        )
        .bind(workspace.uuid())
        .bind(list.id.uuid())
        .bind(item.id.uuid())
        .bind(&json)
        .bind(item.created_at)
        .bind(item.created_by.uuid())
        .bind(item.updated_at)
        .bind(item.updated_by.uuid())
        .bind(item.deleted_at)
        .execute(owner)
        .await
        .unwrap();
        if item.deleted_at.is_none() {
            living.push(item);
        }
    }
    living
}

const OPS: [&str; 18] = [
    "eq",
    "ne",
    "lt",
    "lte",
    "gt",
    "gte",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "is_empty",
    "not_empty",
    "has_any",
    "has_all",
    "within",
    "within_box",
    "within_km",
];

/// A condition on some column; one that a column can't be asked is not a filter, and is tried again.
fn condition(columns: &ColumnSet, rng: &mut StdRng) -> String {
    let (all, op) = (
        columns.iter().collect::<Vec<_>>(),
        *OPS.choose(rng).unwrap(),
    );
    loop {
        let column = *all.choose(rng).unwrap();
        let people = matches!(
            column.ty,
            ColumnType::User | ColumnType::CreatedBy | ColumnType::UpdatedBy
        );
        let set = people || matches!(column.ty, ColumnType::MultiSelect | ColumnType::List);
        let value = match op {
            "is_empty" | "not_empty" => "null".to_owned(),
            "contains" | "not_contains" | "starts_with" => needle(column, rng),
            "in" | "not_in" if !set => {
                let values: Vec<_> = (0..rng.random_range(0..4))
                    .map(|_| value(column.ty, rng))
                    .collect();
                format!("[{}]", values.join(","))
            }
            "within" => span(rng),
            "within_box" | "within_km" => area(op, rng),
            _ if people && rng.random_ratio(1, 4) => if op == "eq" || op == "ne" {
                r#"{"me":true}"#
            } else {
                r#"[{"me":true}]"#
            }
            .to_owned(),
            _ => value(column.ty, rng),
        };
        let json = format!(
            r#"{{"column":"{}","op":"{op}","value":{value}}}"#,
            column.key
        );
        match Filter::parse(&json, columns, self::people()[0], today()) {
            Ok(_) => return json,
            Err(wrong) => assert_eq!(wrong[0].code, "bad_op", "{json}: {wrong:?}"),
        }
    }
}

/// The day to which spans are relative: some dates lie in some of them.
fn today() -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2026, 2, 16).unwrap()
}

fn span(rng: &mut StdRng) -> String {
    let units = ["day", "week", "month", "quarter", "year"];
    match rng.random_range(0..3) {
        0 => format!(r#"{{"last_days":{}}}"#, rng.random_range(1..40)),
        1 => format!(r#"{{"next_days":{}}}"#, rng.random_range(1..40)),
        _ => {
            let way = ["this", "last", "next"].choose(rng).unwrap();
            format!(r#"{{"{way}":"{}"}}"#, units.choose(rng).unwrap())
        }
    }
}

/// A box between two places or a circle around one, as wide as the distance of two at times.
fn area(op: &str, rng: &mut StdRng) -> String {
    let mut place = || -> [f64; 2] {
        let json: serde_json::Value =
            serde_json::from_str(&value(ColumnType::Location, rng)).unwrap();
        ["lat", "lon"].map(|part| json[part].as_f64().unwrap())
    };
    let ([a_lat, a_lon], [b_lat, b_lon]) = (place(), place());
    if op == "within_box" {
        let (south, north) = (a_lat.min(b_lat), a_lat.max(b_lat));
        return format!(r#"{{"south":{south},"west":{a_lon},"north":{north},"east":{b_lon}}}"#);
    }
    let km = ["0", "0.00000001", "0.02", "12000", "14000", "20000"]
        .choose(rng)
        .unwrap();
    format!(r#"{{"lat":{a_lat},"lon":{a_lon},"km":{km}}}"#)
}

/// A part of a text that such a column may hold.
fn needle(column: &Column, rng: &mut StdRng) -> String {
    let whole = match serde_json::from_str(&value(column.ty, rng)) {
        Ok(serde_json::Value::String(text)) => text,
        _ => ["main", "MAIN St", "zür", "Ca", "1"]
            .choose(rng)
            .unwrap()
            .to_string(),
    };
    let length = whole.chars().count();
    let from = if rng.random() {
        0
    } else {
        rng.random_range(0..length)
    };
    let part: String = whole
        .chars()
        .skip(from)
        .take(rng.random_range(1..5))
        .collect();
    serde_json::to_string(&part).unwrap()
}

fn filter(columns: &ColumnSet, depth: usize, rng: &mut StdRng) -> String {
    let members = |rng: &mut StdRng| {
        let members: Vec<_> = (0..rng.random_range(0..4))
            .map(|_| filter(columns, depth + 1, rng))
            .collect();
        members.join(",")
    };
    match rng.random_range(0..8) {
        0 if depth <= 5 => format!(r#"{{"and":[{}]}}"#, members(rng)),
        1 if depth <= 5 => format!(r#"{{"or":[{}]}}"#, members(rng)),
        2 if depth <= 5 => format!(r#"{{"not":{}}}"#, filter(columns, depth + 1, rng)),
        _ => condition(columns, rng),
    }
}

/// The pages from SQL, one after the other; positions go through their bytes as in a cursor.
async fn paged(
    db: &Db,
    workspace: WorkspaceId,
    list: &List,
    selection: &Selection,
    sort: &Sort,
    size: usize,
) -> Vec<Item> {
    let mut tx = Tx::begin(db, workspace, Purpose::Read).await.unwrap();
    let (mut all, mut after): (Vec<Item>, Option<Position>) = (Vec::new(), None);
    loop {
        let limit = i64::try_from(size).unwrap();
        let asked = PageOf {
            selection,
            sort,
            after: after.as_ref(),
            at: None,
            until: None,
            limit,
        };
        let page = items_query::page(&mut tx, workspace, list, &asked)
            .await
            .unwrap();
        let full = page.len() == size;
        if let Some(last) = page.last() {
            let position = sort.position(&list.columns, last);
            let bytes = sort.write_position(&position);
            after = sort.read_position(&list.columns, &bytes);
            assert_eq!(after, Some(position));
        }
        all.extend(page);
        assert!(all.len() <= ROWS, "pages repeat each other");
        if !full {
            let count = items_query::count(&mut tx, workspace, list, selection, None)
                .await
                .unwrap();
            assert_eq!(usize::try_from(count).unwrap(), all.len());
            return all;
        }
    }
}

fn expected(items: &[Item], list: &List, selection: &Selection, sort: &Sort) -> Vec<Item> {
    let mut some: Vec<_> = items
        .iter()
        .filter(|item| selection.matches(&list.columns, item))
        .map(|item| (sort.position(&list.columns, item), item))
        .collect();
    some.sort_by(|(a, _), (b, _)| sort.compare(&list.columns, a, b));
    some.into_iter().map(|(_, item)| item.clone()).collect()
}

#[tokio::test]
async fn pages_from_sql_are_the_filtered_and_sorted_items() {
    Database::with(compare_pages).await;
}

async fn compare_pages(owner: PgPool, app: Db) {
    let mut rng = StdRng::seed_from_u64(20_261_101);
    let (workspace, list) = (WorkspaceId(Uuid::from_u128(1)), list());
    let items = fill(&owner, workspace, &list, &mut rng).await;
    // Neighbours that must never be seen: another list, another workspace with the same list.
    fill(
        &owner,
        workspace,
        &List {
            id: ListId(Uuid::from_u128(8)),
            ..list.clone()
        },
        &mut rng,
    )
    .await;
    fill(&owner, WorkspaceId(Uuid::from_u128(2)), &list, &mut rng).await;
    sqlx::query("ANALYZE estatebase.items")
        .execute(&owner)
        .await
        .unwrap();

    let keys: Vec<_> = list
        .columns
        .iter()
        .map(|column| column.key.clone())
        .collect();
    let (mut telling, mut by_op, mut by_second) = (0, BTreeMap::new(), 0);
    for round in 0..QUESTIONS {
        // Every column is sorted by, both ways; every seventh question has no sort.
        let sorted = if round % 7 == 6 {
            Vec::new()
        } else {
            sort_keys(&keys, round, &mut rng)
        };
        let sort = Sort::parse(sorted.iter().map(String::as_str), &list.columns).unwrap();
        let json = (round % 5 > 0).then(|| filter(&list.columns, 1, &mut rng));
        let filter = json
            .as_ref()
            .map(|json| Filter::parse(json, &list.columns, people()[0], today()).expect(json));

        let words = (round % 4 == 0).then(|| words(&list.columns, &mut rng));
        let selection = Selection {
            filter,
            search: words
                .as_ref()
                .and_then(|words| Search::parse(words).expect(words)),
        };
        let wanted = expected(&items, &list, &selection, &sort);
        let sizes = [
            wanted.len() / 7 + 1,
            wanted.len() / 3 + 1,
            wanted.len().max(1),
            1_000,
        ];
        let size = if wanted.len() <= 12 {
            1
        } else {
            *sizes.choose(&mut rng).unwrap()
        };
        let found = paged(&app, workspace, &list, &selection, &sort, size).await;
        let ids = |items: &[Item]| items.iter().map(|item| item.id).collect::<Vec<_>>();
        assert_eq!(
            ids(&found),
            ids(&wanted),
            "{json:?} {words:?} {sort:?} by {size}"
        );
        assert_eq!(found, wanted);

        if sorted.len() > 1 {
            let first = Sort::parse(sorted.first().map(String::as_str), &list.columns).unwrap();
            let by_first = expected(&items, &list, &selection, &first);
            by_second += usize::from(ids(&by_first) != ids(&wanted));
        }
        telling += usize::from(!wanted.is_empty() && wanted.len() < items.len());
        for op in OPS.iter().filter(|op| {
            json.as_ref()
                .is_some_and(|json| json.contains(&format!("\"{op}\"")))
        }) {
            *by_op.entry(*op).or_insert(0) += 1;
        }
    }
    // The questions tell something: most answers are neither nothing nor everything.
    assert!(telling > QUESTIONS / 2, "{telling}");
    // The second column and those behind it decide something.
    assert!(by_second > QUESTIONS / 4, "{by_second}");
    assert!(
        by_op.len() == OPS.len() && by_op.values().all(|count| *count > 10),
        "{by_op:?}"
    );
}

/// One or two parts of texts, of addresses or of choices' names, by which something may be found.
fn words(columns: &ColumnSet, rng: &mut StdRng) -> String {
    let all: Vec<_> = searched(columns).collect();
    (0..rng.random_range(1..3))
        .map(|_| {
            let column = all.choose(rng).unwrap();
            let needle = match column.ty {
                ty if ty.is_select() => format!(
                    "\"{}\"",
                    ["ACT", "old", "wn", "Pending"].choose(rng).unwrap()
                ),
                _ => needle(column, rng),
            };
            serde_json::from_str::<String>(&needle).unwrap() + " "
        })
        .collect()
}

/// One to five keys of columns, the first in turn.
fn sort_keys(keys: &[String], round: usize, rng: &mut StdRng) -> Vec<String> {
    let signed = |key: &str, descending: bool| {
        if descending {
            format!("-{key}")
        } else {
            key.to_owned()
        }
    };
    let mut chosen = vec![keys[round / 2 % keys.len()].clone()];
    let mut sorted = vec![signed(&chosen[0], round % 2 == 1)];
    for _ in 0..rng.random_range(0..5) {
        let key = keys.choose(rng).unwrap();
        if !chosen.contains(key) {
            sorted.push(signed(key, rng.random()));
            chosen.push(key.clone());
        }
    }
    sorted
}

#[tokio::test]
async fn one_condition_of_each_op_and_type_means_the_same() {
    Database::with(compare_conditions).await;
}

async fn compare_conditions(owner: PgPool, app: Db) {
    let mut rng = StdRng::seed_from_u64(7);
    let (workspace, list) = (WorkspaceId(Uuid::from_u128(1)), list());
    let items = fill(&owner, workspace, &list, &mut rng).await;
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..800 {
        let json = condition(&list.columns, &mut rng);
        let filter = Filter::parse(&json, &list.columns, people()[0], today()).unwrap();
        let selection = Selection {
            filter: Some(filter.clone()),
            search: None,
        };
        let wanted = expected(&items, &list, &selection, &Sort::default());
        let found = paged(&app, workspace, &list, &selection, &Sort::default(), 1_000).await;
        assert_eq!(found, wanted, "{json}");
        let mut words = json.split('"').map(str::to_owned);
        asked.insert((words.nth(3), words.nth(3)));
    }
    // All ops of all 22 types, as far as they make sense: 205 pairs; chance may leave out a few.
    assert!(asked.len() > 140, "{}", asked.len());
}

#[tokio::test]
async fn words_are_found_alike() {
    Database::with(compare_searches).await;
}

async fn compare_searches(owner: PgPool, app: Db) {
    let mut rng = StdRng::seed_from_u64(11);
    let (workspace, list) = (WorkspaceId(Uuid::from_u128(1)), list());
    let items = fill(&owner, workspace, &list, &mut rng).await;
    let (mut some, mut all) = (0, 0);
    for _ in 0..200 {
        let words = words(&list.columns, &mut rng);
        let selection = Selection {
            filter: None,
            search: Search::parse(&words).expect(&words),
        };
        let wanted = expected(&items, &list, &selection, &Sort::default());
        let found = paged(&app, workspace, &list, &selection, &Sort::default(), 1_000).await;
        assert_eq!(found, wanted, "{words:?}");
        some += usize::from(!wanted.is_empty() && wanted.len() < items.len());
        all += usize::from(selection.is_all());
    }
    assert!(some > 150 && all < 10, "{some} {all}");
}

const METRICS: [&str; 8] = [
    "filled", "empty", "distinct", "sum", "avg", "median", "min", "max",
];
const BUCKETS: [&str; 5] = ["day", "week", "month", "quarter", "year"];

/// Up to three levels and eight metrics of any column; those that a column can't be asked are left
/// out.
fn figures(columns: &ColumnSet, rng: &mut StdRng) -> Figures {
    let all: Vec<_> = columns.iter().collect();
    let (mut levels, mut metrics) = (Vec::new(), Vec::new());
    for _ in 0..rng.random_range(0..4) {
        levels.push(LevelIn {
            column: all.choose(rng).unwrap().key.clone(),
            bucket: rng
                .random_ratio(1, 2)
                .then(|| (*BUCKETS.choose(rng).unwrap()).to_owned()),
        });
    }
    for _ in 0..rng.random_range(0..9) {
        metrics.push(MetricIn {
            op: (*METRICS.choose(rng).unwrap()).to_owned(),
            column: Some(all.choose(rng).unwrap().key.clone()),
        });
    }
    metrics.push(MetricIn {
        op: "count".to_owned(),
        column: None,
    });
    for level in &mut levels {
        let alone = Figures::parse(std::slice::from_ref(level), &[], columns);
        if alone.is_err_and(|wrong| wrong[0].code == "bad_bucket") {
            level.bucket = None;
        }
    }
    levels.retain(|level| Figures::parse(std::slice::from_ref(level), &[], columns).is_ok());
    metrics.retain(|metric| Figures::parse(&[], std::slice::from_ref(metric), columns).is_ok());
    Figures::parse(&levels, &metrics, columns).unwrap()
}

#[tokio::test]
async fn figures_from_sql_are_those_of_the_items() {
    Database::with(compare_figures).await;
}

async fn compare_figures(owner: PgPool, app: Db) {
    let mut rng = StdRng::seed_from_u64(13);
    let (workspace, list) = (WorkspaceId(Uuid::from_u128(1)), list());
    let items = fill(&owner, workspace, &list, &mut rng).await;
    fill(&owner, WorkspaceId(Uuid::from_u128(2)), &list, &mut rng).await;
    let ask = async |selection: &Selection, figures: &Figures| -> Vec<Group> {
        let mut tx = Tx::begin(&app, workspace, Purpose::Read).await.unwrap();
        let groups = aggregate::figures(&mut tx, workspace, &list, selection, figures).await;
        groups.unwrap().unwrap()
    };
    // Each metric of each column and each group alone, then all of it together.
    let mut questions = Vec::new();
    for column in list.columns.iter() {
        for op in METRICS {
            let metric = MetricIn {
                op: op.to_owned(),
                column: Some(column.key.clone()),
            };
            questions.extend(Figures::parse(&[], &[metric], &list.columns).ok());
        }
        for bucket in BUCKETS.into_iter().map(Some).chain([None]) {
            let level = LevelIn {
                column: column.key.clone(),
                bucket: bucket.map(str::to_owned),
            };
            let count = MetricIn {
                op: "count".to_owned(),
                column: None,
            };
            questions.extend(Figures::parse(&[level], &[count], &list.columns).ok());
        }
    }
    assert!(
        questions.len() > 22 * 3 + 6 * 5 + 4 * 5 + 18,
        "{}",
        questions.len()
    );
    let alone = questions.len();
    questions.extend((0..200).map(|_| figures(&list.columns, &mut rng)));
    let (mut groups, mut numbers) = (0, 0);
    for (round, figures) in questions.iter().enumerate() {
        let mut selection = Selection::default();
        if round >= alone && round % 3 > 0 {
            let json = filter(&list.columns, 1, &mut rng);
            selection.filter =
                Some(Filter::parse(&json, &list.columns, people()[0], today()).unwrap());
        }
        if round >= alone && round % 5 == 0 {
            selection.search = Search::parse(&words(&list.columns, &mut rng)).unwrap();
        }
        let chosen = expected(&items, &list, &selection, &Sort::default());
        let wanted = figures.of(&list.columns, &chosen);
        assert_eq!(
            ask(&selection, figures).await,
            wanted,
            "{figures:?} {selection:?}"
        );
        let counted: i64 = wanted
            .iter()
            .filter_map(|group| match group.figures.last() {
                Some(Figure::Count(count)) if round >= alone => Some(count),
                _ => None,
            })
            .sum();
        assert!(round < alone || usize::try_from(counted).unwrap() == chosen.len());
        groups += usize::from(wanted.len() > 3);
        let is_number = |figure: &Figure| matches!(figure, Figure::Number(Some(_)));
        numbers += wanted
            .iter()
            .flat_map(|group| &group.figures)
            .filter(|figure| is_number(figure))
            .count();
    }
    assert!(groups > 100 && numbers > 1_000, "{groups} {numbers}");
}

#[tokio::test]
async fn every_character_folds_alike() {
    Database::with(compare_folds).await;
}

async fn compare_folds(owner: PgPool, _: Db) {
    // No character beyond the first two planes folds.
    let last = '\u{20000}';
    assert!((last..=char::MAX).all(|c| fold(c) == c));
    for chunk in ('\u{1}'..last).collect::<Vec<_>>().chunks(20_000) {
        // An é in front keeps ASCII off the short way; alone it takes it.
        let from: Vec<_> = chunk
            .iter()
            .flat_map(|c| [format!("é{c}"), c.to_string()])
            .collect();
        let to: Vec<_> = chunk
            .iter()
            .map(|c| fold(*c))
            .flat_map(|c| [format!("é{c}"), c.to_string()])
            .collect();
        let wrong: Vec<String> = sqlx::query_scalar(
            "SELECT a FROM unnest($1::text[], $2::text[]) AS t (a, b)
             WHERE estatebase.fold(a) COLLATE \"C\" <> b",
        )
        .bind(&from)
        .bind(&to)
        .fetch_all(&owner)
        .await
        .unwrap();
        assert_eq!(wrong, Vec::<String>::new());
    }
}
