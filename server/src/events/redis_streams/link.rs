//! One connection to Redis that comes back by itself.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, Script, Value,
};
use tokio::sync::Mutex;

use super::{PATIENCE, Settings};
use crate::events::{EventsError, Result};

/// A connection that is shared by all who ask; made anew when it has failed.
pub(super) struct Link {
    server: Server,
    /// The same without passwords.
    name: String,
    connection: Mutex<Option<Connection>>,
}

enum Server {
    Alone(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Alone(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) fn new(settings: &Settings) -> Result<Link> {
        let wrong = |error: RedisError| {
            let what = error.detail().unwrap_or("it can't be read").to_owned();
            EventsError::Misconfigured(format!(
                "a URL of Redis is wrong ({what}); write it as redis://host:6379/0"
            ))
        };
        let server = match settings.urls.as_slice() {
            [alone] => Server::Alone(Box::new(Client::open(alone.as_str()).map_err(wrong)?)),
            nodes => {
                let builder = ClusterClient::builder(nodes.to_vec());
                let builder = builder.connection_timeout(PATIENCE).response_timeout(PATIENCE);
                Server::Cluster(Box::new(builder.build().map_err(wrong)?))
            }
        };
        let name = settings.urls.iter().map(|url| masked(url)).collect::<Vec<_>>().join(", ");
        Ok(Link { server, name, connection: Mutex::new(None) })
    }

    /// Asks one command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut connection = self.connect().await?;
        let answer = command.query_async(&mut connection).await;
        self.check(answer).await
    }

    /// Runs a script, which is loaded when Redis does not know it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<T> {
        let mut connection = self.connect().await?;
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        let answer = invocation.invoke_async(&mut connection).await;
        self.check(answer).await
    }

    async fn connect(&self) -> Result<Connection> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let made = match &self.server {
            Server::Alone(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Alone)
            }
            Server::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        };
        let made = made.map_err(|error| self.failure(&error))?;
        Ok(held.insert(made).clone())
    }

    async fn check<T>(&self, answer: std::result::Result<T, RedisError>) -> Result<T> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                // After an answer of Redis itself the connection is as good as before.
                if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
                    *self.connection.lock().await = None;
                }
                Err(self.failure(&error))
            }
        }
    }

    fn failure(&self, error: &RedisError) -> EventsError {
        let code = error.code().unwrap_or_default();
        if matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM") {
            return EventsError::Misconfigured(format!(
                "Redis at {} does not let us in ({code}): correct user and password of its URL",
                self.name
            ));
        }
        EventsError::Unavailable(format!("Redis at {} does not do what it is asked ({error})", self.name))
    }
}

/// A URL without its password.
fn masked(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Connection::Alone(alone) => alone.req_packed_command(cmd),
            Connection::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Connection::Alone(alone) => alone.req_packed_commands(pipeline, offset, count),
            Connection::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Connection::Alone(alone) => alone.get_db(),
            Connection::Cluster(cluster) => cluster.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_not_told() {
        assert_eq!(masked("redis://user:secret@host:6379/0"), "redis://…@host:6379/0");
        assert_eq!(masked("redis://host:6379"), "redis://host:6379");
    }
}
