//! A MongoDB-compatible server: mongo-java-server over an H2 file, which commits before it answers.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::{Process, free_ports, installed};

/// A server with a folder of its own. It is killed, and its data is gone, when this is dropped.
pub struct Mongo {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Mongo {
    /// Starts one, and waits until it takes connections.
    ///
    /// # Errors
    /// Java or the jars are not there.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Result<Mongo, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let [port] = free_ports();
        let process = launch(port, &folder)?;
        Ok(Mongo { process, port, folder })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: what it has not answered may be done or not.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was, with what it had acknowledged.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.port, &self.folder).expect("it was started before");
    }

    /// SIGSTOP: it hangs.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }
}

fn launch(port: u16, folder: &TempDir) -> Result<Process, String> {
    let home = installed().join("mongo");
    let home = home.canonicalize().map_err(|error| format!("{}: {error}", home.display()))?;
    let classes: PathBuf = home.join("classes");
    if !classes.join("TestMongo.class").exists() {
        return Err(format!("{} lacks TestMongo.class", classes.display()));
    }
    let path = format!("{}:{}", classes.display(), home.join("lib/*").display());
    let mut java = Command::new("java");
    java.args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &path, "TestMongo"]);
    java.arg(port.to_string()).arg(folder.path().join("data.mv"));
    let mut process = Process::start("mongo", folder.path(), &mut java).map_err(|error| error.to_string())?;
    process.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::or_skip;

    #[test]
    fn it_comes_up_is_killed_and_comes_back_at_its_port() {
        let Some(mut mongo) = or_skip("MongoDB", Mongo::start()) else { return };
        assert!(TcpStream::connect(("127.0.0.1", mongo.port())).is_ok());
        mongo.kill();
        assert!(TcpStream::connect(("127.0.0.1", mongo.port())).is_err());
        mongo.restart();
        assert!(TcpStream::connect(("127.0.0.1", mongo.port())).is_ok());
    }
}
