//! Saved views of lists, private or shared.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/views.sql"),
    down: "DROP TABLE estatebase.views",
};
