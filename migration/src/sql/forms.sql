-- Public links to forms: whoever holds one may send the form of a view, and nothing else. Only the hash
-- of a link's token is stored. Expand only.
CREATE TABLE estatebase.form_links (
    workspace_id uuid        NOT NULL,
    id           uuid        NOT NULL,
    view_id      uuid        NOT NULL,
    token_hash   bytea       NOT NULL UNIQUE,
    created_by   uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, view_id) REFERENCES estatebase.views
);
CREATE INDEX form_links_by_view ON estatebase.form_links (workspace_id, view_id) WHERE revoked_at IS NULL;

ALTER TABLE estatebase.form_links ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.form_links USING (workspace_id = estatebase.this_workspace());
GRANT SELECT, INSERT, UPDATE ON estatebase.form_links TO estatebase_app;

-- Whoever holds a token does not know its workspace: a further named question across tenants. With the
-- position of the log, at or behind which the link stands in it.
CREATE FUNCTION estatebase.form_by_token(hash bytea)
    RETURNS TABLE (workspace_id uuid, id uuid, seq bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT f.workspace_id, f.id, w.seq
        FROM estatebase.form_links f
        JOIN estatebase.views v ON v.workspace_id = f.workspace_id AND v.id = f.view_id
        JOIN estatebase.workspaces w ON w.id = f.workspace_id
        WHERE f.token_hash = hash AND f.revoked_at IS NULL AND v.deleted_at IS NULL
            AND v.kind = 'form' AND w.deleted_at IS NULL
    $$;
REVOKE ALL ON FUNCTION estatebase.form_by_token(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.form_by_token(bytea) TO estatebase_app;

-- What a form brings in was done by the form. What stands in the log already was held to the narrower
-- rule: nothing is read again.
ALTER TABLE estatebase.events DROP CONSTRAINT events_actor_kind_check;
ALTER TABLE estatebase.events ADD CONSTRAINT events_actor_kind_check
    CHECK (actor_kind IN ('user', 'token', 'job', 'form')) NOT VALID;
