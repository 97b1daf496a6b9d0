//! What a shard counts. Counted in plain integers, and handed to the `metrics` crate once a tick.

use super::Lane;

/// Counted since the last tick.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) bytes_in: u64,
    pub(super) messages_in: u64,
    pub(super) bytes_out: u64,
    pub(super) frames_out: [u64; 4],
    pub(super) writes: u64,
    pub(super) wakes: u64,
    pub(super) dropped_signals: u64,
    pub(super) replaced_states: u64,
    pub(super) slow_consumers: u64,
    pub(super) malformed: u64,
    pub(super) panics: u64,
}

impl Counters {
    pub(super) fn count_frames(&mut self, lanes: &[u32; 4]) {
        for (count, frames) in self.frames_out.iter_mut().zip(lanes) {
            *count += u64::from(*frames);
        }
    }

    /// Adds all of it to the process's metrics, and begins anew.
    pub(super) fn publish(&mut self) {
        let counted = std::mem::take(self);
        for (name, value) in [
            ("enfilade_connections_opened_total", counted.opened),
            ("enfilade_connections_closed_total", counted.closed),
            ("enfilade_bytes_in_total", counted.bytes_in),
            ("enfilade_messages_in_total", counted.messages_in),
            ("enfilade_bytes_out_total", counted.bytes_out),
            ("enfilade_socket_writes_total", counted.writes),
            ("enfilade_shard_wakes_total", counted.wakes),
            ("enfilade_signals_dropped_total", counted.dropped_signals),
            ("enfilade_states_replaced_total", counted.replaced_states),
            ("enfilade_slow_consumers_total", counted.slow_consumers),
            ("enfilade_malformed_total", counted.malformed),
            ("enfilade_handler_panics_total", counted.panics),
        ] {
            if value > 0 {
                metrics::counter!(name).increment(value);
            }
        }
        for (lane, frames) in Lane::ALL.into_iter().zip(counted.frames_out) {
            if frames > 0 {
                let lane = match lane {
                    Lane::Control => "control",
                    Lane::Log => "log",
                    Lane::State => "state",
                    Lane::Signal => "signal",
                };
                metrics::counter!("enfilade_frames_out_total", "lane" => lane).increment(frames);
            }
        }
        if counted.opened != counted.closed {
            metrics::gauge!("enfilade_connections").increment(counted.opened as f64 - counted.closed as f64);
        }
    }
}
