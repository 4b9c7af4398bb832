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

-- The links of a group, written right after it, in the same statement (see write_group): each as the group
-- leaves it, by its state: 1 live, 0 resting, -1 gone. What frees a place is written before what takes it.
--
-- Answers 'done'. Raises EB001 when an end that should be there is not.
CREATE FUNCTION estatebase.write_links(
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
    linked int8 := 0;
BEGIN
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

    RETURN 'done';
END
$$;
REVOKE ALL ON FUNCTION estatebase.write_links FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.write_links TO estatebase_app;
