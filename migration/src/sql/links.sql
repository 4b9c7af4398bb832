-- Links between items: one row a link, whatever it looks like from either end. `from_list` and
-- `from_column` name the relation: the column with which it was made. Each key begins with the workspace,
-- so no link leads out of one. Positions order the cell at either end. A link of which an end is in the
-- trash is kept and not live. The flags say that an end holds one link at most; the unique indexes keep
-- that. A cell is read along an index at either end, its number too.
CREATE TABLE estatebase.links (
    workspace_id  uuid NOT NULL,
    from_list     uuid NOT NULL,
    from_column   text NOT NULL,
    from_item     uuid NOT NULL,
    to_list       uuid NOT NULL,
    to_item       uuid NOT NULL,
    from_position bigint NOT NULL,
    to_position   bigint NOT NULL,
    from_single   boolean NOT NULL,
    to_single     boolean NOT NULL,
    live          boolean NOT NULL,
    PRIMARY KEY (workspace_id, from_list, from_column, from_item, to_item),
    FOREIGN KEY (workspace_id, from_list, from_column) REFERENCES estatebase.columns,
    FOREIGN KEY (workspace_id, from_list, from_item) REFERENCES estatebase.items,
    FOREIGN KEY (workspace_id, to_list, to_item) REFERENCES estatebase.items
);
CREATE INDEX links_from ON estatebase.links
    (workspace_id, from_list, from_column, from_item, from_position, to_item) WHERE live;
CREATE INDEX links_to ON estatebase.links
    (workspace_id, from_list, from_column, to_item, to_position, from_item) WHERE live;
CREATE INDEX links_resting ON estatebase.links
    (workspace_id, from_list, from_column, to_item) WHERE NOT live;
CREATE UNIQUE INDEX links_from_single ON estatebase.links
    (workspace_id, from_list, from_column, from_item) WHERE live AND from_single;
CREATE UNIQUE INDEX links_to_single ON estatebase.links
    (workspace_id, from_list, from_column, to_item) WHERE live AND to_single;

ALTER TABLE estatebase.links ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.links USING (workspace_id = estatebase.this_workspace());
GRANT SELECT, INSERT, UPDATE, DELETE ON estatebase.links TO estatebase_app;

-- `write_group` as it was, with links: each as the group leaves it, by its state: 1 live, 0 resting,
-- -1 gone. What frees a place is written before what takes it. The function without links stays for the
-- server before this one; a later release drops it.
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
    number_list uuid[], number_next int8[],
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
    changed int8 := 0;
    created int8 := 0;
    linked int8 := 0;
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

    IF cardinality(link_state) > 0 THEN
        DELETE FROM estatebase.links k
        USING unnest(link_from_list, link_from_column, link_from_item, link_to_item, link_state)
            AS r(from_list, from_column, from_item, to_item, state)
        WHERE r.state = -1 AND k.workspace_id = this AND k.from_list = r.from_list
            AND k.from_column = r.from_column AND k.from_item = r.from_item AND k.to_item = r.to_item;

        UPDATE estatebase.links k SET live = false
        FROM unnest(link_from_list, link_from_column, link_from_item, link_to_item, link_state)
            AS r(from_list, from_column, from_item, to_item, state)
        WHERE r.state = 0 AND k.workspace_id = this AND k.from_list = r.from_list
            AND k.from_column = r.from_column AND k.from_item = r.from_item AND k.to_item = r.to_item;

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
                EXISTS (SELECT FROM estatebase.items i WHERE i.workspace_id = this
                    AND i.list_id = r.from_list AND i.id = r.from_item AND i.deleted_at IS NULL)
                AND EXISTS (SELECT FROM estatebase.items i WHERE i.workspace_id = this
                    AND i.list_id = r.to_list AND i.id = r.to_item AND i.deleted_at IS NULL)))
        ON CONFLICT (workspace_id, from_list, from_column, from_item, to_item) DO UPDATE
        SET from_position = excluded.from_position, to_position = excluded.to_position,
            from_single = excluded.from_single, to_single = excluded.to_single, live = excluded.live;
        GET DIAGNOSTICS linked = ROW_COUNT;
        IF linked <> (SELECT count(*) FROM unnest(link_state) AS s(state) WHERE s.state >= 0) THEN
            RAISE EXCEPTION 'a linked item is not as known' USING ERRCODE = 'EB001';
        END IF;
    END IF;

    RETURN 'done';
END
$$;
DO $$
DECLARE
    f regprocedure;
BEGIN
    SELECT p.oid::regprocedure INTO STRICT f FROM pg_proc p
    WHERE p.proname = 'write_group' AND p.pronamespace = 'estatebase'::regnamespace
        AND 'link_state' = ANY (p.proargnames);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO estatebase_app', f);
END
$$;
