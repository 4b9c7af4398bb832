-- The group commit: the head of the log by compare-and-set, the rows of every command, their events,
-- the remembered operations and the numbers given out. Set-based, so that a group of hundreds of
-- edits costs what a few cost; a function, so that it is ONE message to the database and ONE answer,
-- which also commits when no transaction was begun. It runs as its caller: row-level security holds.
--
-- Answers 'done'; 'lost_race' when another writer moved the head first (nothing is written then).
-- Raises EB001 when the head was as known and an item was not: what the caller has cached is old.
--
-- The settings make it go by index with a plan that is kept, whatever the statistics of a table that
-- grew a moment ago say.
CREATE FUNCTION estatebase.write_group(
    this uuid, new_seq int8, new_hash bytea, new_schema_version int8, known_seq int8, known_schema_version int8,
    known_hash bytea,
    -- one row an item, as the group leaves it; known = 0: a new one
    item_list uuid[], item_id uuid[], item_known int8[], item_version int8[], item_seq int8[],
    item_values text[], item_at timestamptz[], item_by uuid[], item_deleted timestamptz[], item_made_by uuid[],
    event_seq int8[], event_at timestamptz[], event_kind text[], event_actor_kind text[], event_actor uuid[],
    event_op uuid[], event_change uuid[], event_undoes int8[], event_list uuid[], event_rows int4[],
    event_digest bytea[], event_hash bytea[],
    said_seq int8[], said_ordinal int4[], said_list uuid[], said_item uuid[], said_last_item uuid[],
    said_salt bytea[], said_payload bytea[], said_packed bool[], said_digest bytea[],
    op_principal uuid[], op_key text[], op_fingerprint bytea[], op_seq int8[], op_answer bytea[], op_at timestamptz,
    number_list uuid[], number_next int8[]
) RETURNS text
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET lock_timeout = '3s'
    AS $$
DECLARE
    changed int8 := 0;
    created int8 := 0;
BEGIN
    PERFORM set_config('app.workspace_id', this::text, true);

    UPDATE estatebase.workspaces w
    SET seq = new_seq, head_hash = new_hash, schema_version = new_schema_version
    WHERE w.id = this AND w.seq = known_seq AND w.head_hash = known_hash
        AND w.schema_version = known_schema_version;
    IF NOT FOUND THEN
        RETURN 'lost_race';
    END IF;

    IF cardinality(item_id) > 0 THEN
        UPDATE estatebase.items i
        SET version = r.version, seq = r.seq, "values" = r.stored::jsonb, updated_at = r.at,
            updated_by = r.by, deleted_at = r.deleted
        FROM unnest(item_list, item_id, item_known, item_version, item_seq, item_values, item_at, item_by,
                    item_deleted) AS r(list_id, id, known, version, seq, stored, at, by, deleted)
        WHERE i.workspace_id = this AND i.list_id = r.list_id AND i.id = r.id AND i.version = r.known
            AND r.known > 0;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < cardinality(item_id) THEN
            INSERT INTO estatebase.items
                (workspace_id, list_id, id, version, seq, "values", created_at, created_by, updated_at,
                 updated_by, deleted_at)
            SELECT this, r.list_id, r.id, r.version, r.seq, r.stored::jsonb, r.at, r.made_by, r.at, r.by, r.deleted
            FROM unnest(item_list, item_id, item_known, item_version, item_seq, item_values, item_at, item_by,
                        item_deleted, item_made_by)
                AS r(list_id, id, known, version, seq, stored, at, by, deleted, made_by)
            WHERE r.known = 0;
            GET DIAGNOSTICS created = ROW_COUNT;
        END IF;
        IF changed + created <> cardinality(item_id) THEN
            RAISE EXCEPTION 'an item is not as known' USING ERRCODE = 'EB001';
        END IF;
    END IF;

    INSERT INTO estatebase.events
        (workspace_id, seq, at, kind, actor_kind, actor_id, op, change, undoes, list_id, rows, digest, hash)
    SELECT this, e.* FROM unnest(event_seq, event_at, event_kind, event_actor_kind, event_actor, event_op,
                                 event_change, event_undoes, event_list, event_rows, event_digest, event_hash) AS e;

    INSERT INTO estatebase.event_payloads
        (workspace_id, seq, ordinal, list_id, item_id, last_item_id, salt, payload, packed, digest)
    SELECT this, p.* FROM unnest(said_seq, said_ordinal, said_list, said_item, said_last_item, said_salt,
                                 said_payload, said_packed, said_digest) AS p;

    IF cardinality(op_key) > 0 THEN
        INSERT INTO estatebase.ops (workspace_id, principal, key, fingerprint, seq, answer, at)
        SELECT this, o.*, op_at FROM unnest(op_principal, op_key, op_fingerprint, op_seq, op_answer) AS o;
    END IF;

    IF cardinality(number_list) > 0 THEN
        UPDATE estatebase.lists l SET next_number = n.next
        FROM unnest(number_list, number_next) AS n(list_id, next)
        WHERE l.workspace_id = this AND l.id = n.list_id;
    END IF;

    RETURN 'done';
END
$$;
REVOKE ALL ON FUNCTION estatebase.write_group FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.write_group TO estatebase_app;
