//! What the server tells its operators: the log on the standard error stream, and the counters behind `/metrics`.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Code, v1};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Borders of the histograms, in seconds: from a memory's to a tired disk's.
const SECONDS: [f64; 12] = [0.000_1, 0.000_3, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// How often samples of histograms are gathered, so that they don't pile up while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts the log. Once a process: a second time the first one stays.
pub fn start_log(log: &Log) {
    let filter = filter(&log.level);
    let ansi = std::io::stderr().is_terminal();
    let _ = subscriber(log.format, filter, ansi, std::io::stderr).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message =
            message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        tracing::error!(place, thread, "panicked: {message}");
    }));
}

/// Kafka's client repeats itself at each attempt to connect, many times a second; what is the matter is told once a
/// change by the server's health. Whoever names `rdkafka` in the level hears it all.
const CHATTY: &str = "rdkafka";

fn filter(level: &str) -> EnvFilter {
    let quiet = format!("{level},{CHATTY}=off,lib{CHATTY}=off");
    let level = if level.contains(CHATTY) { level } else { &quiet };
    // The configuration was checked; should it be wrong all the same, there is a log.
    level.parse().unwrap_or_else(|_| EnvFilter::new("info"))
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    ansi: bool,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Human => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

/// Starts counting, once a process, and returns what renders the counters.
pub fn start_metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let start = || {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .unwrap_or_default()
            .build_recorder();
        let handle = recorder.handle();
        // Fails when something else counts in this process already; then that one gets the counts.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    };
    HANDLE.get_or_init(start).clone()
}

/// Gathers the samples of histograms, until the future is dropped.
pub async fn upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

/// Counts a frame that refuses something, by its code.
pub(crate) fn count_refusal(frame: &v1::ServerFrame) {
    let code = match &frame.body {
        Some(Frame::Error(error)) => error.code,
        Some(Frame::Rejection(rejection)) => rejection.code,
        _ => return,
    };
    let name = Code::from_number(code).map_or("other", Code::name);
    metrics::counter!("enfilade_refused_total", "code" => name).increment(1);
}

/// Counts a connection's end, by its close code.
pub(crate) fn count_close(code: u16) {
    let name = match code {
        // RFC 6455: protocol error, invalid data. The numbers below 4000 of the registry travel in frames alone.
        1002 | 1007 => "not_websocket",
        ..4000 => "other",
        _ => Code::from_number(code.into()).map_or("other", Code::name),
    };
    metrics::counter!("enfilade_closed_total", "code" => name).increment(1);
}

fn describe() {
    metrics::gauge!("enfilade_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_counter!("enfilade_bad_frames_total", "Frames that could not be decoded, by code");
    describe_counter!("enfilade_refused_total", "Errors and rejections that were sent, by code");
    describe_counter!("enfilade_closed_total", "Connections that ended, by close code");
    describe_counter!("enfilade_room_failures_total", "Rooms that failed and were begun anew from the store");
    describe_gauge!("enfilade_component_status", "0 down, 1 degraded, 2 up, by component");
    describe_counter!(
        "enfilade_component_changes_total",
        "Changes of that, by component and by what it became"
    );
    describe_counter!("enfilade_component_failures_total", "Answers that did not come, by component");
    describe_counter!("enfilade_store_operation_failures_total", "Failures of the store, by operation");
    describe_histogram!(
        "enfilade_store_operation_seconds",
        Unit::Seconds,
        "Time until the store has answered, by operation"
    );
    describe_counter!("enfilade_events_published_total", "Entries that went out");
    describe_counter!(
        "enfilade_events_skipped_total",
        "Entries that another owner of their shard had published"
    );
    describe_counter!("enfilade_events_missing_total", "Entries that could not go out: gone, or damaged");
    describe_counter!("enfilade_commands_total", "Commands that came in");
    describe_counter!("enfilade_commands_repeated_total", "Commands that came again under the same id");
    describe_counter!("enfilade_commands_dead_total", "Commands that can't be done, by reason");
    describe_counter!("enfilade_commands_put_off_total", "Attempts at commands that had to wait, by code");
    describe_counter!("enfilade_store_commits_total", "Transactions of the store that were synced to disk");
    describe_counter!("enfilade_store_requests_total", "Writes that the store has answered");
    describe_counter!("enfilade_store_failures_total", "Writes that the store could not do");
    describe_counter!("enfilade_store_overloaded_total", "Writes refused because too many waited");
    describe_histogram!(
        "enfilade_store_commit_seconds",
        Unit::Seconds,
        "Time of a transaction, disk included"
    );
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, EnvFilter::new(level), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(room = "lobby", "a room was opened");
            tracing::debug!("a detail");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_at_the_top() {
        let text = logged(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "a room was opened");
        assert_eq!((&line["room"], &line["level"]), (&"lobby".into(), &"INFO".into()));
    }

    #[test]
    fn people_get_one_line_an_event_and_no_details_that_they_did_not_ask_for() {
        let text = logged(LogFormat::Human, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("a room was opened") && text.contains("room=\"lobby\""), "{text}");
        assert_eq!(logged(LogFormat::Human, "debug").lines().count(), 2);
    }

    #[test]
    fn counters_are_rendered_for_prometheus() {
        let metrics = start_metrics();
        metrics::counter!("enfilade_test_total", "kind" => "x").increment(3);
        metrics::histogram!("enfilade_test_seconds").record(0.002);
        let text = start_metrics().render();
        assert!(text.contains("enfilade_test_total{kind=\"x\"} 3"), "{text}");
        assert!(text.contains("enfilade_test_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("enfilade_build_info{version="), "{text}");
        metrics.run_upkeep();
    }

    #[test]
    fn the_client_of_kafka_is_quiet_unless_it_is_asked_for() {
        assert!(filter("info").to_string().contains("librdkafka=off"));
        assert!(!filter("info,librdkafka=warn").to_string().contains("off"));
    }
}
