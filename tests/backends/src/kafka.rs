//! A Kafka broker of its own: one process that is broker and controller, without replicas.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::{Process, free_ports, installed};

/// Names the cluster: sixteen bytes in URL-safe base64. Every broker here has its own ports, so one name does.
const CLUSTER: &str = "ZW5maWxhZGUtdGVzdHMtMQ";
/// A Metadata request (version 4) for no topic: answered once the broker has joined its own controller.
const METADATA: [u8; 20] = [0, 0, 0, 16, 0, 3, 0, 4, 0, 0, 0, 7, 0, 1, b'p', 0, 0, 0, 0, 0];
/// Brokers of the answer stand here, as a big-endian number of four bytes.
const BROKERS_AT: usize = 12;

/// A running broker. It is killed when this is dropped, and its data goes.
pub struct Kafka {
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Kafka {
    /// Starts a broker, and waits until it answers: some two seconds, and some more the first time on a machine.
    ///
    /// # Errors
    /// There is no Java, or the jars are not there.
    pub fn start() -> io::Result<Kafka> {
        Kafka::launch_on(free_ports(), None)
    }

    /// The same behind a proxy, which all clients but those of [`address`](Kafka::address) are told of.
    ///
    /// # Errors
    /// As [`start`](Kafka::start).
    pub fn start_behind(proxy: &Proxy) -> io::Result<Kafka> {
        let kafka = Kafka::launch_on(free_ports(), Some(proxy.port()))?;
        proxy.connect_to(kafka.address());
        Ok(kafka)
    }

    fn launch_on([port, controller]: [u16; 2], advertised: Option<u16>) -> io::Result<Kafka> {
        let template = template()?;
        let folder = tempfile::Builder::new().prefix("enfilade-kafka-").tempdir()?;
        copy(&template, &folder.path().join("log"))?;
        let advertised = advertised.unwrap_or(port);
        let text = properties(folder.path(), port, controller, advertised);
        fs::write(folder.path().join("server.properties"), text)?;
        let process = launch(folder.path())?;
        let mut kafka = Kafka { process, folder, port };
        kafka.wait();
        Ok(kafka)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What clients call `bootstrap.servers`.
    pub fn brokers(&self) -> String {
        self.address().to_string()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for its end.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// Starts it again on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// The program is not there any more.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process = launch(self.folder.path())?;
        self.wait();
        Ok(())
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    fn wait(&mut self) {
        let address = self.address();
        self.process.wait_until(|| is_ready(address).unwrap_or(false));
    }
}

/// Makes a topic without replicas.
///
/// # Panics
/// When the broker refuses.
pub async fn create_topic(brokers: &str, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client of the broker");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let made = admin.create_topics([&topic], &options).await.expect("an answer of the broker");
    for made in made {
        made.expect("a new topic");
    }
}

fn is_ready(address: SocketAddr) -> io::Result<bool> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&METADATA)?;
    let mut answer = [0; BROKERS_AT + 4];
    stream.read_exact(&mut answer)?;
    let brokers =
        [answer[BROKERS_AT], answer[BROKERS_AT + 1], answer[BROKERS_AT + 2], answer[BROKERS_AT + 3]];
    Ok(i32::from_be_bytes(brokers) >= 1)
}

fn launch(folder: &Path) -> io::Result<Process> {
    let mut java = java();
    java.args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    Process::start("kafka", folder, java.args(["kafka.Kafka", "server.properties"]))
}

fn java() -> Command {
    let mut java = Command::new("java");
    // By the environment, since the virtual machine wants its own flags before the program's name.
    java.env("CLASSPATH", installed().join("kafka/lib/*"));
    java
}

/// A formatted folder, made once a machine and copied for each broker, because formatting takes as long as starting.
fn template() -> io::Result<PathBuf> {
    let home = installed().join("kafka");
    let template = home.join("formatted");
    if template.is_dir() {
        return Ok(template);
    }
    if !home.join("lib").is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "Kafka's jars are not there"));
    }
    let folder = tempfile::Builder::new().prefix("formatting-").tempdir_in(&home)?;
    let [port, controller] = free_ports();
    fs::write(folder.path().join("server.properties"), properties(folder.path(), port, controller, port))?;
    let mut format = java();
    format.current_dir(folder.path()).args(["kafka.tools.StorageTool", "format", "--standalone"]);
    let output = format.args(["-t", CLUSTER, "-c", "server.properties"]).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("Kafka's folder can't be formatted: {said}")));
    }
    match fs::rename(folder.path().join("log"), &template) {
        // Another test was as quick.
        Err(_) if template.is_dir() => Ok(template),
        renamed => renamed.map(|()| template),
    }
}

fn properties(folder: &Path, port: u16, controller: u16, advertised: u16) -> String {
    let log = folder.join("log");
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},CONTROLLER://127.0.0.1:{controller}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\n\
         group.consumer.min.heartbeat.interval.ms=500\n\
         group.consumer.heartbeat.interval.ms=500\n\
         auto.create.topics.enable=false\n\
         broker.session.timeout.ms=1500\n\
         broker.heartbeat.interval.ms=300\n\
         log.cleaner.dedupe.buffer.size=16777216\n",
        log.display()
    )
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::or_skip;

    #[test]
    fn a_broker_starts_dies_and_comes_back() {
        let Some(mut kafka) = or_skip("Kafka", Kafka::start()) else { return };
        assert!(is_ready(kafka.address()).unwrap());
        kafka.kill();
        assert!(is_ready(kafka.address()).is_err());
        let since = Instant::now();
        kafka.restart().unwrap();
        assert!(is_ready(kafka.address()).unwrap());
        println!("ready again after {:?}", since.elapsed());
    }
}
