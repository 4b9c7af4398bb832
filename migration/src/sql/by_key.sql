-- Both writers again, by the same arguments and with the same answers. Before: rows were found by a join of
-- what is to be written with the table. A planner without statistics (a young database, until its first
-- ANALYZE) takes a table for a handful of rows and compares each with each: seconds for a batch of thousands.
-- Now no plan can go wrong: a key is looked up by a subquery of its own or by ON CONFLICT, and what is
-- deleted or put to rest, which is rare, row by row.

CREATE OR REPLACE FUNCTION estatebase.write_group(
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
BEGIN
    PERFORM set_config('app.workspace_id', this::text, true);

    -- From here on nobody else writes to the workspace.
    UPDATE estatebase.workspaces w
    SET seq = new_seq, head_hash = new_hash, schema_version = new_schema_version
    WHERE w.id = this AND w.seq = known_seq AND w.head_hash = known_hash
        AND w.schema_version = known_schema_version;
    IF NOT FOUND THEN
        RETURN 'lost_race';
    END IF;

    IF 0 < ANY (item_known) THEN
        IF EXISTS (
            SELECT FROM unnest(item_list, item_id, item_known) AS r(list_id, id, known)
            WHERE r.known > 0 AND r.known IS DISTINCT FROM (SELECT i.version FROM estatebase.items i
                WHERE i.workspace_id = this AND i.list_id = r.list_id AND i.id = r.id)
        ) THEN
            RAISE EXCEPTION 'an item is not as known' USING ERRCODE = 'EB001';
        END IF;
        INSERT INTO estatebase.items
            (workspace_id, list_id, id, version, seq, "values", created_at, created_by, updated_at,
             updated_by, deleted_at)
        SELECT this, r.list_id, r.id, r.version, r.seq, r.stored::jsonb, r.at, r.made_by, r.at, r.by, r.deleted
        FROM unnest(item_list, item_id, item_known, item_version, item_seq, item_values, item_at, item_by,
                    item_deleted, item_made_by)
            AS r(list_id, id, known, version, seq, stored, at, by, deleted, made_by)
        WHERE r.known > 0
        ON CONFLICT (workspace_id, list_id, id) DO UPDATE
        SET version = excluded.version, seq = excluded.seq, "values" = excluded."values",
            updated_at = excluded.updated_at, updated_by = excluded.updated_by, deleted_at = excluded.deleted_at;
    END IF;
    IF 0 = ANY (item_known) THEN
        INSERT INTO estatebase.items
            (workspace_id, list_id, id, version, seq, "values", created_at, created_by, updated_at,
             updated_by, deleted_at)
        SELECT this, r.list_id, r.id, r.version, r.seq, r.stored::jsonb, r.at, r.made_by, r.at, r.by, r.deleted
        FROM unnest(item_list, item_id, item_known, item_version, item_seq, item_values, item_at, item_by,
                    item_deleted, item_made_by)
            AS r(list_id, id, known, version, seq, stored, at, by, deleted, made_by)
        WHERE r.known = 0;
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

CREATE OR REPLACE FUNCTION estatebase.write_links(
    this uuid,
    link_from_list uuid[], link_from_column text[], link_from_item uuid[], link_to_list uuid[], link_to_item uuid[],
    link_from_position int8[], link_to_position int8[], link_from_single bool[], link_to_single bool[],
    link_state int2[]
) RETURNS text
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET lock_timeout = '3s'
    AS $$
DECLARE
    freed record;
    linked int8 := 0;
BEGIN
    FOR freed IN
        SELECT * FROM unnest(link_from_list, link_from_column, link_from_item, link_to_item, link_state)
            AS r(from_list, from_column, from_item, to_item, state)
        WHERE r.state <= 0
    LOOP
        IF freed.state = 0 THEN
            UPDATE estatebase.links k SET live = false
            WHERE k.workspace_id = this AND k.from_list = freed.from_list AND k.from_column = freed.from_column
                AND k.from_item = freed.from_item AND k.to_item = freed.to_item;
        ELSE
            DELETE FROM estatebase.links k
            WHERE k.workspace_id = this AND k.from_list = freed.from_list AND k.from_column = freed.from_column
                AND k.from_item = freed.from_item AND k.to_item = freed.to_item;
        END IF;
    END LOOP;

    INSERT INTO estatebase.links
        (workspace_id, from_list, from_column, from_item, to_list, to_item, from_position, to_position,
         from_single, to_single, live)
    SELECT this, r.from_list, r.from_column, r.from_item, r.to_list, r.to_item, r.from_position,
        r.to_position, r.from_single, r.to_single, r.state = 1
    FROM unnest(link_from_list, link_from_column, link_from_item, link_to_list, link_to_item,
                link_from_position, link_to_position, link_from_single, link_to_single, link_state)
        AS r(from_list, from_column, from_item, to_list, to_item, from_position, to_position, from_single,
             to_single, state)
    WHERE r.state >= 0
        AND (r.state = 0 OR (
            (SELECT i.deleted_at IS NULL FROM estatebase.items i
                WHERE i.workspace_id = this AND i.list_id = r.from_list AND i.id = r.from_item)
            AND (SELECT i.deleted_at IS NULL FROM estatebase.items i
                WHERE i.workspace_id = this AND i.list_id = r.to_list AND i.id = r.to_item)))
    ON CONFLICT (workspace_id, from_list, from_column, from_item, to_item) DO UPDATE
    SET from_position = excluded.from_position, to_position = excluded.to_position,
        from_single = excluded.from_single, to_single = excluded.to_single, live = excluded.live;
    GET DIAGNOSTICS linked = ROW_COUNT;
    IF linked <> (SELECT count(*) FROM unnest(link_state) AS s(state) WHERE s.state >= 0) THEN
        RAISE EXCEPTION 'a linked item is not as known' USING ERRCODE = 'EB001';
    END IF;

    RETURN 'done';
END
$$;
