//! Links between items, and what a group commit writes of them.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/links.sql"),
    down: "DROP FUNCTION estatebase.write_links; DROP TABLE estatebase.links",
};
