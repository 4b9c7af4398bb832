-- The product's tables stand in a schema of their own: a hosted Postgres may publish `public`.
CREATE SCHEMA IF NOT EXISTS estatebase;
REVOKE ALL ON SCHEMA estatebase FROM PUBLIC;

-- The group role that holds every grant of the app. It owns nothing, so row-level security binds
-- it; the server signs in as a member of it. The erasure role is the only one that may empty a
-- payload of the log.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'estatebase_app') THEN
        CREATE ROLE estatebase_app NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'estatebase_eraser') THEN
        CREATE ROLE estatebase_eraser NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this cluster was migrated at the same moment
END
$$;
GRANT USAGE ON SCHEMA estatebase TO estatebase_app, estatebase_eraser;

-- Who asks, set for the length of one transaction. After a transaction-local setting ends its
-- value is '' and not NULL, hence nullif: a plain cast would fail.
CREATE FUNCTION estatebase.this_workspace() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.workspace_id', true), '')::uuid $$;

-- People ------------------------------------------------------------------------------------
-- A profile belongs to no workspace: one of the named tables without row-level security.
CREATE TABLE estatebase.profiles (
    user_id      uuid PRIMARY KEY,
    email        text,
    display_name text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- Workspaces --------------------------------------------------------------------------------
-- The head row: `seq` and `head_hash` move by compare-and-set in every write's transaction.
-- Its own fillfactor keeps those updates in place (HOT) for thousands of commits between vacuums.
CREATE TABLE estatebase.workspaces (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    seq            bigint NOT NULL,
    head_hash      bytea NOT NULL CHECK (octet_length(head_hash) = 32),
    schema_version bigint NOT NULL DEFAULT 1,
    oldest_seq     bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    created_by     uuid NOT NULL,
    updated_at     timestamptz NOT NULL,
    deleted_at     timestamptz
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

CREATE TABLE estatebase.members (
    workspace_id uuid NOT NULL REFERENCES estatebase.workspaces,
    user_id      uuid NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'commenter', 'editor', 'admin', 'owner')),
    joined_at    timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_by_user ON estatebase.members (user_id);

CREATE TABLE estatebase.invites (
    workspace_id uuid NOT NULL REFERENCES estatebase.workspaces,
    id           uuid NOT NULL,
    email        text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'commenter', 'editor', 'admin', 'owner')),
    token_hash   bytea NOT NULL UNIQUE,
    created_by   uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    accepted_at  timestamptz,
    accepted_by  uuid,
    revoked_at   timestamptz,
    PRIMARY KEY (workspace_id, id)
);

-- Lists and columns -------------------------------------------------------------------------
CREATE TABLE estatebase.lists (
    workspace_id uuid NOT NULL REFERENCES estatebase.workspaces,
    id           uuid NOT NULL,
    name         text NOT NULL,
    position     integer NOT NULL,
    next_number  bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    created_by   uuid NOT NULL,
    updated_at   timestamptz NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (workspace_id, id)
);

-- A column's `id` is short (base 36, counted by its list): it is the key of every stored value.
CREATE TABLE estatebase.columns (
    workspace_id  uuid NOT NULL,
    list_id       uuid NOT NULL,
    id            text NOT NULL,
    key           text NOT NULL,
    name          text NOT NULL,
    type          text NOT NULL,
    options       jsonb NOT NULL DEFAULT '{}',
    required      boolean NOT NULL DEFAULT false,
    default_value jsonb,
    position      integer NOT NULL,
    created_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    PRIMARY KEY (workspace_id, list_id, id),
    FOREIGN KEY (workspace_id, list_id) REFERENCES estatebase.lists
);
CREATE UNIQUE INDEX columns_by_key ON estatebase.columns (workspace_id, list_id, key)
    WHERE deleted_at IS NULL;

-- Items -------------------------------------------------------------------------------------
-- One index alone, for each costs more than the row: it serves lookups by id and keyset pages.
-- No foreign key to lists: its trigger would run for every imported row, while the workspace's
-- lane is the only writer and lists are never removed under their items.
-- fillfactor 70 keeps edits in place (HOT); lz4 and a higher TOAST target keep rows with long
-- remarks in the page.
CREATE TABLE estatebase.items (
    workspace_id uuid NOT NULL,
    list_id      uuid NOT NULL,
    id           uuid NOT NULL,
    version      bigint NOT NULL,
    seq          bigint NOT NULL,
    "values"     jsonb COMPRESSION lz4 NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   uuid NOT NULL,
    updated_at   timestamptz NOT NULL,
    updated_by   uuid NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (workspace_id, list_id, id)
) WITH (fillfactor = 70, toast_tuple_target = 4080);

-- The log -----------------------------------------------------------------------------------
-- Partitioned by time, so `at` is in the key; that `seq` is unique in its workspace rests on the
-- head row's compare-and-set and is checked by `verify`.
CREATE TABLE estatebase.events (
    workspace_id uuid NOT NULL,
    seq          bigint NOT NULL,
    at           timestamptz NOT NULL,
    kind         text NOT NULL,
    actor_kind   text NOT NULL CHECK (actor_kind IN ('user', 'token', 'job')),
    actor_id     uuid NOT NULL,
    op           uuid,
    change       uuid,
    undoes       bigint,
    list_id      uuid,
    rows         integer NOT NULL,
    digest       bytea NOT NULL,
    hash         bytea NOT NULL,
    PRIMARY KEY (workspace_id, seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE estatebase.events_default PARTITION OF estatebase.events DEFAULT;

-- What an event says, one row a changed item, exactly as the bytes that were hashed (JSONB would
-- rewrite them). Salt and payload may be emptied by the erasure role; the digest stays, so the
-- chain still verifies. For a batch, (list_id, item_id .. last_item_id) is its range of ids.
CREATE TABLE estatebase.event_payloads (
    workspace_id uuid NOT NULL,
    seq          bigint NOT NULL,
    ordinal      integer NOT NULL,
    list_id      uuid,
    item_id      uuid,
    last_item_id uuid,
    salt         bytea,
    payload      bytea COMPRESSION lz4,
    packed       boolean NOT NULL DEFAULT false,
    digest       bytea NOT NULL,
    PRIMARY KEY (workspace_id, seq, ordinal)
);
CREATE INDEX event_payloads_by_item ON estatebase.event_payloads (workspace_id, item_id, seq)
    WHERE item_id IS NOT NULL AND last_item_id IS NULL;
CREATE INDEX event_payloads_by_batch ON estatebase.event_payloads (workspace_id, list_id, item_id)
    WHERE last_item_id IS NOT NULL;

CREATE FUNCTION estatebase.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON estatebase.events
    FOR EACH ROW EXECUTE FUNCTION estatebase.refuse_change();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON estatebase.events
    FOR EACH STATEMENT EXECUTE FUNCTION estatebase.refuse_change();
CREATE TRIGGER event_payloads_no_delete BEFORE DELETE ON estatebase.event_payloads
    FOR EACH ROW EXECUTE FUNCTION estatebase.refuse_change();
CREATE TRIGGER event_payloads_no_truncate BEFORE TRUNCATE ON estatebase.event_payloads
    FOR EACH STATEMENT EXECUTE FUNCTION estatebase.refuse_change();

CREATE FUNCTION estatebase.only_erasure() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.payload IS NULL AND NEW.salt IS NULL
        AND (NEW.workspace_id, NEW.seq, NEW.ordinal, NEW.digest)
          = (OLD.workspace_id, OLD.seq, OLD.ordinal, OLD.digest) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER event_payloads_only_erasure BEFORE UPDATE ON estatebase.event_payloads
    FOR EACH ROW EXECUTE FUNCTION estatebase.only_erasure();

-- Operations that took effect, so that a retry gets the same answer and no second effect.
-- `workspace_id` is the caller's own id for what belongs to no workspace yet.
CREATE TABLE estatebase.ops (
    workspace_id uuid NOT NULL,
    principal    uuid NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,
    seq          bigint NOT NULL,
    answer       bytea COMPRESSION lz4 NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, principal, key)
);

-- Row-level security: the second wall ---------------------------------------------------------
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['members', 'invites', 'lists', 'columns', 'items', 'events',
                             'event_payloads', 'ops'] LOOP
        EXECUTE format('ALTER TABLE estatebase.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format(
            'CREATE POLICY tenant ON estatebase.%I USING (workspace_id = estatebase.this_workspace())', t);
    END LOOP;
END
$$;
ALTER TABLE estatebase.workspaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.workspaces USING (id = estatebase.this_workspace());

GRANT SELECT, INSERT, UPDATE ON estatebase.profiles, estatebase.workspaces, estatebase.invites,
    estatebase.lists, estatebase.columns TO estatebase_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON estatebase.members TO estatebase_app;
GRANT SELECT, INSERT, UPDATE ON estatebase.items TO estatebase_app;
-- Append-only by grants too; a partition gets none of its own, it would bypass the parent's policy.
GRANT SELECT, INSERT ON estatebase.events, estatebase.event_payloads, estatebase.ops TO estatebase_app;
GRANT SELECT, UPDATE ON estatebase.event_payloads TO estatebase_eraser;

-- The named questions across tenants ----------------------------------------------------------
-- Each runs as the owner and takes all that it needs as arguments.
CREATE FUNCTION estatebase.memberships_of(person uuid)
    RETURNS TABLE (workspace_id uuid, name text, role text, joined_at timestamptz, created_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT w.id, w.name, m.role, m.joined_at, w.created_at
        FROM estatebase.members m JOIN estatebase.workspaces w ON w.id = m.workspace_id
        WHERE m.user_id = person AND w.deleted_at IS NULL
        ORDER BY m.joined_at, w.id
    $$;

CREATE FUNCTION estatebase.invite_by_token(hash bytea)
    RETURNS TABLE (workspace_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$ SELECT i.workspace_id, i.id FROM estatebase.invites i WHERE i.token_hash = hash $$;

-- Months of the log: this one and three ahead. The app may call it; it can't make tables itself.
CREATE FUNCTION estatebase.ensure_event_partitions() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
    AS $$
DECLARE
    first date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
    month date;
    part  text;
BEGIN
    FOR ahead IN 0..3 LOOP
        month := (first + make_interval(months => ahead))::date;
        part := 'events_' || to_char(month, 'YYYYMM');
        IF to_regclass('estatebase.' || part) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE estatebase.%I PARTITION OF estatebase.events FOR VALUES FROM (%L) TO (%L)',
                part, month::text || ' 00:00:00+00', (month + interval '1 month')::date::text || ' 00:00:00+00');
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION estatebase.memberships_of(uuid), estatebase.invite_by_token(bytea),
    estatebase.ensure_event_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.this_workspace(), estatebase.memberships_of(uuid),
    estatebase.invite_by_token(bytea), estatebase.ensure_event_partitions() TO estatebase_app;

SELECT estatebase.ensure_event_partitions();
