//! From the start of the server's process, after a clean stop, to its first answered request.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use url::Url;

use super::figure::{Figure, Must};
use crate::commands::client::rest::{Call, Rest};

const PATIENCE: Duration = Duration::from_secs(60);

/// `start` starts the process at `server` and returns without waiting for it.
///
/// # Errors
/// When it can't be started, or does not answer within a minute.
pub async fn measure(
    server: &Url,
    start: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Figure> {
    let rest = Rest::new(server.clone(), "")?;
    let call = Call::new(Method::GET, "/readyz");
    let started = Instant::now();
    start().context("starting the server")?;
    loop {
        // Refused connections are what is waited for here, so no retries of the client's own.
        if let Ok(answer) = rest.once(&call).await
            && answer.status.is_success()
        {
            break;
        }
        if started.elapsed() > PATIENCE {
            bail!("the server did not answer within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed().as_secs_f64();
    Ok(Figure::new(
        "start after a clean stop to the first answered request",
        took,
        "s",
        Must::AtMost(2.0),
    ))
}
