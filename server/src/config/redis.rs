//! The section `redis`.

use std::time::Duration;

use enfilade_core::limits;
use serde::{Deserialize, Serialize};

use crate::readable::Readable;
use crate::store::{RedisMode, RedisOptions};

/// Where Redis is, for a store of many nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:password@host:6379/0`, or `rediss://` for TLS; several with commas between for Sentinels and a
    /// Cluster. The variable `REDIS_URL` says it too.
    pub url: String,
    /// What is at those addresses.
    pub mode: RedisMode,
    /// What every key begins with.
    pub prefix: String,
    /// The master's name, with Sentinels.
    pub sentinel_master: String,
    /// The Sentinels' own password.
    pub sentinel_password: String,
    /// Requests in flight at the same time, on one connection.
    pub pool_size: usize,
    /// Milliseconds that a request may take, with everything that it waits for.
    pub timeout: u64,
    /// How often a request is repeated that Redis did not take.
    pub retry_attempts: u32,
    /// Replicas that must have what was written before it is acknowledged.
    pub wait_replicas: u32,
    /// Messages of a room that the readable keys show.
    pub chat_messages: usize,
    /// Seconds that a room's readable keys stay when nothing is written to it; 0 is for ever. The room itself stays.
    pub room_ttl: u64,
    /// Seconds that a user's session is shown after their last connection.
    pub session_ttl: u64,
}

impl Default for Redis {
    fn default() -> Redis {
        let options = RedisOptions::default();
        Redis {
            url: options.url,
            mode: options.mode,
            prefix: options.prefix,
            sentinel_master: options.sentinel_master,
            sentinel_password: options.sentinel_password,
            pool_size: options.pool_size,
            timeout: options.timeout.as_millis() as u64,
            retry_attempts: options.retry_attempts,
            wait_replicas: options.wait_replicas,
            chat_messages: options.shows.chat_messages,
            room_ttl: options.shows.expiry.map_or(0, |expiry| expiry.as_secs()),
            session_ttl: options.shows.session.as_secs(),
        }
    }
}

/// A year.
const TTL_MAX: u64 = 365 * 86_400;
/// Bytes of a prefix: every key has it.
const PREFIX_BYTES: usize = 64;

impl Redis {
    /// Values that can't be: with what to do.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let is_url =
            |url: &str| ["redis://", "rediss://"].iter().any(|scheme| url.trim().starts_with(scheme));
        let urls: Vec<&str> = self.url.split(',').collect();
        if !urls.iter().all(|url| is_url(url)) {
            faults.push(("redis.url", "write it as redis://user:password@host:6379/0".to_owned()));
        } else if self.mode == RedisMode::Standalone && urls.len() > 1 {
            faults.push(("redis.url", "one server has one address; or set redis.mode".to_owned()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if self.prefix.len() > PREFIX_BYTES || !self.prefix.bytes().all(allowed) {
            let advice = format!("it may have {PREFIX_BYTES} of a-z A-Z 0-9 - _ . :");
            faults.push(("redis.prefix", advice));
        }
        let ranges = [
            ("redis.pool_size", self.pool_size as u64, 1, 10_000),
            ("redis.timeout", self.timeout, 100, 60_000),
            ("redis.retry_attempts", self.retry_attempts.into(), 0, 20),
            ("redis.wait_replicas", self.wait_replicas.into(), 0, 10),
            ("redis.chat_messages", self.chat_messages as u64, 1, limits::ACTIVE_MESSAGES as u64),
            ("redis.room_ttl", self.room_ttl, 0, TTL_MAX),
            ("redis.session_ttl", self.session_ttl, 60, TTL_MAX),
        ];
        for (key, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                faults.push((key, format!("it must be from {min} to {max}")));
            }
        }
        faults
    }
}

impl From<&Redis> for RedisOptions {
    fn from(redis: &Redis) -> RedisOptions {
        RedisOptions {
            url: redis.url.clone(),
            mode: redis.mode,
            prefix: redis.prefix.clone(),
            sentinel_master: redis.sentinel_master.clone(),
            sentinel_password: redis.sentinel_password.clone(),
            pool_size: redis.pool_size,
            timeout: Duration::from_millis(redis.timeout),
            retry_attempts: redis.retry_attempts,
            wait_replicas: redis.wait_replicas,
            shows: Readable {
                chat_messages: redis.chat_messages,
                expiry: (redis.room_ttl > 0).then(|| Duration::from_secs(redis.room_ttl)),
                session: Duration::from_secs(redis.session_ttl),
            },
            ..RedisOptions::default()
        }
    }
}
