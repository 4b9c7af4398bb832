//! The one place where the parts are wired: from settings to a listening server, and from a signal
//! to its end. Tests use it too.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName};
use actix_web::middleware::Next;
use actix_web::{App, HttpMessage, HttpServer, ResponseError, web};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::actors::jobs::Jobs;
use crate::actors::registry::Registry;
use crate::actors::relay::Relay;
use crate::actors::workspace::{self, NewWorkspace};
use crate::auth::provider::ProviderConfig;
use crate::auth::{BuiltInKeys, Provider, Verifier, VerifierConfig};
use crate::config::{Config, Switch};
use crate::domain::template;
use crate::http::limits::{Limits, address};
use crate::http::state::{AppState, Settings};
use crate::http::{client, health, identity, openapi, request_id, routes};
use crate::ids::{ListId, WorkspaceId};
use crate::store::{self, Db};
use crate::telemetry::Metrics;
use crate::ws::{self, Gateway, Seats};

/// How long a body that was refused is read on.
const LINGER: Duration = Duration::from_secs(3);
/// Threads that serve requests, and as many that run workspaces.
const THREADS: usize = 2;
/// Connections of the runner of jobs, opened on its own thread: those of the thread of a request end
/// with the server, before its jobs do.
const JOB_CONNECTIONS: u32 = 4;

/// Octets that the kernel keeps for a peer, its own needs (about a third) among them.
const SEND_BUFFER: usize = 384 * 1024;
/// How long a peer may leave octets untaken.
const JAMMED_MS: u32 = 20_000;

/// What a server is made of, decided before it starts.
pub struct Wiring {
    pub listener: TcpListener,
    pub database_url: SecretString,
    pub db_pool: u32,
    pub public_url: Url,
    pub secret_key: SecretString,
    pub supabase_url: Option<Url>,
    pub jwt_secret: Option<SecretString>,
    /// Other nodes on the same database are told of commits through it.
    pub redis_url: Option<SecretString>,
    pub rate_limit: bool,
    pub trusted_proxy_hops: usize,
    pub metrics_token: Option<SecretString>,
    pub cors_origins: Vec<String>,
    pub data_dir: PathBuf,
    /// Renders the process's figures.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What `serve` hands over.
pub struct Parts {
    /// Already checked.
    pub config: Config,
    /// Where it accepts connections; bound early, so that a taken port is said first.
    pub listener: TcpListener,
    /// The migrated database as the server's role.
    pub database_url: SecretString,
    pub metrics: Metrics,
}

/// Serves until it is told to stop (SIGINT, SIGTERM): requests under way may finish.
pub async fn run(parts: Parts, ready: impl AsyncFnOnce(&Application)) -> anyhow::Result<()> {
    let Parts {
        config,
        listener,
        database_url,
        metrics,
    } = parts;
    let public_url = config.public_url(listener.local_addr()?).parse()?;
    let rendered = metrics.clone();
    let application = Application::build(Wiring {
        listener,
        database_url,
        db_pool: config.db_pool,
        public_url,
        secret_key: config.secret_key()?,
        supabase_url: config.supabase_url.clone(),
        jwt_secret: config.jwt_secret.clone(),
        redis_url: config.redis_url.clone(),
        rate_limit: config.rate_limit == Switch::On,
        trusted_proxy_hops: usize::from(config.trusted_proxy_hops),
        metrics_token: config.metrics_token.clone(),
        cors_origins: config.cors_origins.clone(),
        data_dir: config.data_dir.clone(),
        metrics: Arc::new(move || rendered.render()),
    })?;
    let upkeep = actix_web::rt::spawn(metrics.keep_up());
    actix_web::rt::spawn(stop_at_a_signal(
        application.handle(),
        application.seats.clone(),
        application.stopping.clone(),
    ));
    ready(&application).await;
    let served = application.run().await;
    upkeep.abort();
    Ok(served?)
}

/// Stops the server at SIGTERM (sockets are told, requests under way may finish) or SIGINT (at once); what the lanes
/// have begun is answered either way.
async fn stop_at_a_signal(server: ServerHandle, sockets: Seats, stopping: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals can't be heard: the server stops only with its process");
        return;
    };
    let graceful = tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => false,
    };
    tracing::info!("stopping");
    stopping.cancel();
    if graceful {
        sockets.drain().await;
    }
    server.stop(graceful).await;
}

/// What must be done now and then for as long as the server runs.
async fn keep_up(state: web::Data<AppState>) {
    const EVERY: Duration = Duration::from_secs(60);
    const PARTITIONS_EVERY: u32 = 360;
    const OPS_EVERY: u32 = 60;
    for round in (0..PARTITIONS_EVERY).cycle() {
        if round == 0
            && let Err(error) = store::log::ensure_partitions(&state.db).await
        {
            tracing::warn!(%error, "the log's coming months could not be made; tried again later");
        }
        if round % OPS_EVERY == 0
            && let Err(error) = store::ops::forget(&state.db).await
        {
            tracing::warn!(%error, "old operations could not be forgotten; tried again later");
        }
        state.limits.sweep();
        state.registry.sweep();
        tokio::time::sleep(EVERY).await;
    }
}

/// A built server.
pub struct Application {
    server: Server,
    address: SocketAddr,
    provider: Option<web::Data<Provider>>,
    registry: Arc<Registry>,
    jobs: Arc<Jobs>,
    relay: Option<Arc<Relay>>,
    seats: Seats,
    stopping: CancellationToken,
    upkeep: actix_web::rt::task::JoinHandle<()>,
    db: Db,
}

impl Application {
    /// Wires everything; the port is taken, nothing is served before `run`.
    pub fn build(wiring: Wiring) -> anyhow::Result<Application> {
        use secrecy::ExposeSecret;
        crate::auth::install_crypto();
        let address = wiring.listener.local_addr()?;
        bound_peers(&wiring.listener)?;
        let db = Db::open(wiring.database_url.expose_secret(), wiring.db_pool)?;
        let built_in = wiring.supabase_url.is_none() && wiring.jwt_secret.is_none();
        let keys = built_in
            .then(|| BuiltInKeys::derive(&wiring.secret_key, &wiring.public_url))
            .transpose()?;
        let provider = keys
            .clone()
            .map(|keys| {
                Provider::new(ProviderConfig {
                    pool: db.outside().clone(),
                    keys,
                    limit_attempts: wiring.rate_limit,
                })
            })
            .transpose()?
            .map(web::Data::new);
        let verifier = Arc::new(Verifier::new(VerifierConfig {
            supabase_url: wiring.supabase_url,
            jwt_secret: wiring.jwt_secret,
            built_in: keys,
            ..VerifierConfig::default()
        })?);
        let registry = Registry::new(&db, THREADS);
        let relay = wiring
            .redis_url
            .map(|url| Relay::start(url.expose_secret(), &registry))
            .transpose()?;
        if let Some(relay) = &relay {
            registry.tell_through(Arc::clone(relay));
        }
        let stopping = CancellationToken::new();
        let uploads = wiring.data_dir.join("uploads");
        let jobs = Jobs::new(db.sibling(JOB_CONNECTIONS), Arc::clone(&registry), uploads);
        let state = web::Data::new(AppState {
            jobs: Arc::clone(&jobs),
            db: db.clone(),
            registry: Arc::clone(&registry),
            verifier: Arc::clone(&verifier),
            limits: Limits::new(wiring.rate_limit),
            settings: Settings {
                secret_key: wiring.secret_key,
                trusted_proxy_hops: wiring.trusted_proxy_hops,
                metrics_token: wiring.metrics_token,
                cors_origins: wiring.cors_origins.clone(),
                https: wiring.public_url.scheme() == "https",
            },
            stopping: stopping.clone(),
            metrics: wiring.metrics,
        });
        let upkept = state.clone();
        let seats = Seats::new(wiring.rate_limit);
        let gateway = web::Data::new(Gateway {
            db: db.clone(),
            registry: Arc::clone(&registry),
            verifier: Arc::clone(&verifier),
            origins: wiring.cors_origins,
            seats: seats.clone(),
            address: counted_address,
        });
        let served = provider.clone();
        let server = HttpServer::new(move || {
            App::new()
                .configure(|config| mount(config, &state, &gateway, served.as_ref()))
                .default_service(web::to(client::serve))
                .wrap(actix_web::middleware::from_fn(count))
                .wrap(cors(&state.settings.cors_origins))
                .wrap(actix_web::middleware::from_fn(request_id::trace))
                .app_data(state.clone())
        })
        .workers(THREADS)
        .max_connections(50_000)
        .tcp_nodelay(true)
        .backlog(4_096)
        // Who is refused in the middle of a body still sends: it is read on and thrown away for so
        // long, for a connection that is closed at once would take the answer along. (Between nothing
        // and half a second the timer of actix-http may never fire.)
        .client_disconnect_timeout(LINGER)
        // What is no HTTP, and a head that is not sent in time, never comes as far as a handler: actix-http
        // answers 400 or 408 by itself, without a problem document, and has no door for one.
        // A signal may not stop the lanes' threads before their lanes: see `stop_at_a_signal`.
        .disable_signals()
        .shutdown_timeout(5)
        .listen(wiring.listener)?
        .run();
        jobs.run();
        let upkeep = actix_web::rt::spawn(keep_up(upkept));
        Ok(Application {
            server,
            address,
            provider,
            registry,
            jobs,
            relay,
            seats,
            stopping,
            upkeep,
            db,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The built-in identity provider, when no project is configured.
    pub fn provider(&self) -> Option<web::Data<Provider>> {
        self.provider.clone()
    }

    /// The login that a first look needs: an account and a workspace of the template, made unless
    /// they are there. Only with the built-in provider.
    pub async fn demo_login(&self) -> anyhow::Result<Option<(&'static str, &'static str)>> {
        const EMAIL: &str = "demo@estatebase.example";
        const PASSWORD: &str = "estatebase-demo";
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let user = provider
            .ensure_user(EMAIL, SecretString::from(PASSWORD))
            .await?;
        if store::members::of_person(&self.db, user).await?.is_empty() {
            store::profiles::visit(&self.db, user, Some(EMAIL), Some("Demo")).await?;
            let lists = template::real_estate().len();
            let new = NewWorkspace {
                id: WorkspaceId(Uuid::now_v7()),
                name: "Demo agency".to_owned(),
                template: Some("real_estate".to_owned()),
                owner: user,
                remember: None,
                list_ids: (0..lists).map(|_| ListId(Uuid::now_v7())).collect(),
            };
            workspace::create(&self.db, new).await?;
        }
        Ok(Some((EMAIL, PASSWORD)))
    }

    /// A way to stop it from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped, then lets go of everything.
    pub async fn run(self) -> std::io::Result<()> {
        let served = self.server.await;
        self.upkeep.abort();
        self.jobs.stop().await;
        if let Some(relay) = &self.relay {
            relay.stop();
        }
        self.registry.stop().await;
        self.db.close().await;
        served
    }
}

/// Bounds what a peer costs that takes nothing: the kernel ends a connection whose octets were not
/// taken for so long, also of a socket that was told to close.
/// Connections inherit it.
fn bound_peers(listener: &TcpListener) -> std::io::Result<()> {
    use rustix::net::sockopt;
    // Linux doubles it, for its own needs.
    sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER / 2)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(listener, JAMMED_MS)?;
    Ok(())
}

fn mount(
    config: &mut web::ServiceConfig,
    state: &web::Data<AppState>,
    gateway: &web::Data<Gateway>,
    provider: Option<&web::Data<Provider>>,
) {
    config
        .app_data(state.clone())
        .app_data(gateway.clone())
        .app_data(web::PayloadConfig::new(crate::http::MAX_BODY))
        .route("/healthz", routes::read().to(health::alive))
        .route("/readyz", routes::read().to(health::ready))
        .route("/metrics", routes::read().to(health::metrics))
        .route("/problems/{code}", routes::read().to(health::problem))
        .service(web::redirect("/docs", "/docs/"))
        .route("/api/v1/ws", web::get().to(ws::upgrade))
        .configure(routes::configure)
        .service(openapi::page());
    if let Some(provider) = provider {
        config
            .app_data(provider.clone())
            .configure(identity::configure);
    }
}

/// Counts the request's address before anything else looks at it, and lets the identity provider know
/// the address. A refusal goes out as an answer like any other, so that what is wrapped around this
/// gives it its headers.
async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(state) = request.app_data::<web::Data<AppState>>() else {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body);
    };
    let from = address(request.request(), state.settings.trusted_proxy_hops);
    let counted = state.limits.count_address(from);
    request
        .extensions_mut()
        .insert(identity::ClientAddress(from));
    if let Some(counted) = counted {
        request.extensions_mut().insert(counted.remaining);
        if let Err(refused) = counted.admit() {
            return Ok(request.into_response(refused.error_response()));
        }
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
}

/// The address that `count` found.
fn counted_address(request: &actix_web::HttpRequest) -> IpAddr {
    let counted = request.extensions();
    let counted = counted.get::<identity::ClientAddress>();
    counted.map_or_else(|| address(request, 0), |counted| counted.0)
}

fn cors(origins: &[String]) -> Cors {
    let allowed = origins.to_vec();
    let any = origins.iter().any(|origin| origin == "*");
    let mut cors = Cors::default()
        .allowed_methods(["GET", "POST", "PATCH", "PUT", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("x-request-id"),
            HeaderName::from_static("x-min-seq"),
            HeaderName::from_static("apikey"),
            HeaderName::from_static("x-client-info"),
            HeaderName::from_static("x-supabase-api-version"),
        ])
        .expose_headers([
            "ETag",
            "Location",
            "Retry-After",
            "RateLimit",
            "RateLimit-Policy",
            "X-Request-Id",
            "X-Workspace-Seq",
            "X-Supabase-Api-Version",
        ])
        .max_age(3600);
    if any {
        cors = cors.allow_any_origin();
    } else {
        for origin in &allowed {
            cors = cors.allowed_origin(origin);
        }
    }
    cors
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt;

    use super::*;

    #[test]
    fn a_connection_is_bounded_from_its_beginning() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        bound_peers(&listener).unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        assert_eq!(sockopt::tcp_user_timeout(&ours).unwrap(), JAMMED_MS);
        let buffer = sockopt::socket_send_buffer_size(&ours).unwrap();
        assert!(buffer <= SEND_BUFFER, "{buffer}");
    }
}
