-- Comments on items. Expand only: nothing existing changes. They refer to the list and not to the item:
-- such a key would add its triggers to every write of an item, while the workspace's lane is the only
-- writer and items are never removed under their comments. What was deleted keeps its row, not its body.
CREATE TABLE estatebase.comments (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    list_id      uuid        NOT NULL,
    item_id      uuid        NOT NULL,
    author_id    uuid        NOT NULL,
    body         text        NOT NULL,
    mentions     uuid[]      NOT NULL,
    version      bigint      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, list_id) REFERENCES estatebase.lists
);
-- A page of an item's comments, in the order in which they were written.
CREATE INDEX comments_by_item ON estatebase.comments (workspace_id, list_id, item_id, created_at, id)
    WHERE deleted_at IS NULL;

ALTER TABLE estatebase.comments ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.comments USING (workspace_id = estatebase.this_workspace());
GRANT SELECT, INSERT, UPDATE ON estatebase.comments TO estatebase_app;
