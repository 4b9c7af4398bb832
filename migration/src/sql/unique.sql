-- Columns in which no two living items hold the same value, and columns that stand behind another of their
-- key since a change of type: those come back by taking that change back, and by nothing else.
ALTER TABLE estatebase.columns
    ADD COLUMN is_unique boolean NOT NULL DEFAULT false,
    ADD COLUMN is_replaced boolean NOT NULL DEFAULT false;

-- Who holds which value of a unique column: the living items alone. The key is the SHA-256 of the value as
-- it compares (see unique_key). The primary key is what makes it unique, whatever the server believes.
CREATE TABLE estatebase.unique_keys (
    workspace_id uuid NOT NULL,
    list_id      uuid NOT NULL,
    column_id    text NOT NULL,
    key          bytea NOT NULL CHECK (octet_length(key) = 32),
    item_id      uuid NOT NULL,
    PRIMARY KEY (workspace_id, list_id, column_id, key),
    FOREIGN KEY (workspace_id, list_id, column_id) REFERENCES estatebase.columns,
    FOREIGN KEY (workspace_id, list_id, item_id) REFERENCES estatebase.items
);
ALTER TABLE estatebase.unique_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.unique_keys USING (workspace_id = estatebase.this_workspace());
GRANT SELECT, INSERT, DELETE ON estatebase.unique_keys TO estatebase_app;

-- A stored cell as it compares. Numbers and dates are stored in one form alone, so their text decides; the
-- server makes the same of what it writes.
CREATE FUNCTION estatebase.unique_key(stored text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT sha256(convert_to(estatebase.fold(stored), 'UTF8')) $$;

-- The keys of a group, written right after it, in the same statement (see write_group): whether each was
-- held, and by which item the group leaves it, if any. What is let go is let go first.
--
-- Answers 'done'. Raises EB001 when a key is held by another than was known.
CREATE FUNCTION estatebase.write_keys(
    this uuid, key_list uuid[], key_column text[], key_value bytea[], key_held bool[], key_item uuid[]
) RETURNS text
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET lock_timeout = '3s'
    AS $$
DECLARE
    moved record;
    held int8 := 0;
BEGIN
    FOR moved IN
        SELECT r.list_id, r.column_id, array_agg(r.key) AS keys
        FROM unnest(key_list, key_column, key_value, key_held) AS r(list_id, column_id, key, held)
        WHERE r.held GROUP BY r.list_id, r.column_id
    LOOP
        DELETE FROM estatebase.unique_keys k
        WHERE k.workspace_id = this AND k.list_id = moved.list_id AND k.column_id = moved.column_id
            AND k.key = ANY (moved.keys);
    END LOOP;

    INSERT INTO estatebase.unique_keys (workspace_id, list_id, column_id, key, item_id)
    SELECT this, r.list_id, r.column_id, r.key, r.item_id
    FROM unnest(key_list, key_column, key_value, key_item) AS r(list_id, column_id, key, item_id)
    WHERE r.item_id IS NOT NULL
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS held = ROW_COUNT;
    IF held <> (SELECT count(*) FROM unnest(key_item) AS i(item_id) WHERE i.item_id IS NOT NULL) THEN
        RAISE EXCEPTION 'a key is not as known' USING ERRCODE = 'EB001';
    END IF;
    RETURN 'done';
END
$$;
REVOKE ALL ON FUNCTION estatebase.write_keys FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.write_keys TO estatebase_app;
