//! Links between items; and the group commit takes them along.

use crate::script::Script;

pub(crate) const MIGRATION: Script = Script {
    module: module_path!(),
    up: include_str!("sql/links.sql"),
    down: "DO $$
        DECLARE f regprocedure;
        BEGIN
            SELECT p.oid::regprocedure INTO f FROM pg_proc p
            WHERE p.proname = 'write_group' AND p.pronamespace = 'estatebase'::regnamespace
                AND 'link_state' = ANY (p.proargnames);
            EXECUTE format('DROP FUNCTION %s', f);
        END
        $$;
        DROP TABLE estatebase.links",
};
