-- Saved views of lists. Expand only: nothing existing changes. What a view is set to (`config`) names
-- columns by key, as it was sent; one that is gone since is flagged when the view is read.
CREATE TABLE estatebase.views (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    list_id      uuid        NOT NULL,
    name         text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('grid', 'kanban', 'calendar', 'gallery', 'map', 'form')),
    config       jsonb       NOT NULL,
    shared       boolean     NOT NULL,
    owner_id     uuid        NOT NULL,
    version      bigint      NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    updated_by   uuid        NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, list_id) REFERENCES estatebase.lists
);
CREATE INDEX views_by_list ON estatebase.views (workspace_id, list_id, id) WHERE deleted_at IS NULL;

ALTER TABLE estatebase.views ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.views USING (workspace_id = estatebase.this_workspace());
GRANT SELECT, INSERT, UPDATE ON estatebase.views TO estatebase_app;
