//! The accept loop: plain HTTP with deadlines, from a socket's first byte to its last.
//!
//! A socket that says nothing, or half of a request, is closed at its deadline, and until its first byte came it has
//! no buffer. Upgrades leave this loop: see [`super::upgrade`].

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::NetConfig;

/// The most that a request's line and headers may take, and the size of a response's buffer: twice what browsers send.
const HTTP_BUFFER_BYTES: usize = 16 * 1024;
/// Headers of one request; browsers send some 20.
const MAX_HEADERS: usize = 64;
/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4_096;
/// After a failure to accept (no file descriptors left, say), before the next attempt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds an address, so that it can be bound again right after the process ended.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves the router until `stop` completes; then requests under way have `grace` to be answered.
///
/// Each request carries [`ConnectInfo<SocketAddr>`](ConnectInfo).
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &NetConfig,
    stop: impl Future<Output = ()>,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(config.max_http_connections));
    let (stopping, stopped) = watch::channel(false);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(HTTP_BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
                {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics::counter!("enfilade_http_refused_total", "reason" => "full").increment(1);
            continue;
        };
        let connection = serve_one(stream, peer, http.clone(), router.clone(), config, stopped.clone());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    drop(stopped);
    let _ = stopping.send(true);
    // Each connection holds a receiver until it is done.
    let _ = timeout(grace, stopping.closed()).await;
}

/// One socket, until it is closed or becomes a WebSocket.
fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    http: http1::Builder,
    router: Router,
    config: &NetConfig,
    mut stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let (first_byte, lifetime) = (config.first_byte_timeout, config.http_lifetime);
    async move {
        let _ = stream.set_nodelay(true);
        let first = tokio::select! {
            first = timeout(first_byte, stream.readable()) => first,
            _ = stopped.wait_for(|&stop| stop) => return,
        };
        if !matches!(first, Ok(Ok(()))) {
            metrics::counter!("enfilade_http_refused_total", "reason" => "first_byte_timeout").increment(1);
            return;
        }
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        tokio::select! {
            _ = &mut connection => return,
            _ = stopped.wait_for(|&stop| stop) => {}
            () = sleep(lifetime) => {}
        }
        // No further request; the one under way is answered, while the lifetime lasts once more.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(lifetime, connection).await;
    }
}
