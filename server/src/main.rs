//! The binary `enfilade`.
use std::time::Duration;

fn main() {
    // Until the command line is there.
    let var = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let settings = enfilade_server::serve::Settings {
        listen: var("ENFILADE_LISTEN", "127.0.0.1:7700").parse().unwrap(),
        data_dir: var("ENFILADE_DATA_DIR", "data").into(),
        net: Default::default(),
        connection: Default::default(),
        store: Default::default(),
        guests: true,
        guest_lifetime: Duration::from_secs(30 * 86_400),
        cors_origins: vec![],
        drain: Duration::from_secs(9),
    };
    tracing_subscriber::fmt::init();
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Err(failure) = runtime.block_on(enfilade_server::serve::run(settings, metrics)) {
        eprintln!("enfilade: {failure}");
        std::process::exit(1);
    }
}
