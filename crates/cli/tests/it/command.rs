//! Running the binary: to its end, or as a node that is stopped again.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use systole_testkit::wait::blocking_until;

pub(crate) fn systole(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
    command.args(arguments).env("COLUMNS", "100").env_remove("SYSTOLE_CLUSTER");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end and gives exit code, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = systole(arguments).output().unwrap();
    shown(&output)
}

/// The same with something on standard input.
pub(crate) fn run_with(input: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut child = systole(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    shown(&child.wait_with_output().unwrap())
}

fn shown(output: &Output) -> (i32, String, String) {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A process that says `ready` and runs until it is stopped.
pub(crate) struct Node {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) kafka: String,
    pub(crate) http: String,
}

impl Node {
    pub(crate) fn serve(data: &std::path::Path) -> Self {
        let any = "127.0.0.1:0";
        let data = data.to_str().unwrap();
        Self::start(&["serve", "--data", data, "--kafka", any, "--http", any])
    }
    /// A node that says all that it can say, into a file.
    pub(crate) fn serve_tracing(data: &std::path::Path, log: std::fs::File) -> Self {
        let any = "127.0.0.1:0";
        let data = data.to_str().unwrap();
        let mut command = systole(&["serve", "--data", data, "--kafka", any, "--http", any]);
        Self::spawn(command.env("SYSTOLE_LOG", "trace").stderr(log))
    }
    /// A node whose user may have so many files open at first, and what it says in a file.
    pub(crate) fn serve_with_files(data: &std::path::Path, soft: u32, log: std::fs::File) -> Self {
        let script =
            format!("ulimit -Sn {soft}; exec \"$0\" serve --data \"$1\" --kafka $2 --http $2");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_systole")]).arg(data).arg("127.0.0.1:0");
        Self::spawn(
            command
                .env_remove("SYSTOLE_LOG")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(log),
        )
    }
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(systole(arguments).stderr(Stdio::inherit()))
    }
    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let words =
            ready.trim().strip_prefix("ready kafka=").and_then(|it| it.split_once(" http="));
        let (kafka, http) = words.unwrap_or_else(|| panic!("not ready: {ready:?}"));
        let (kafka, http) = (kafka.to_owned(), http.to_owned());
        Self { child, stdout, kafka, http }
    }
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
    /// Sends `signal` and gives the exit code and the rest of the output.
    pub(crate) fn stop(mut self, signal: &str) -> (i32, String) {
        send(signal, self.child.id());
        let code = blocking_until("the end of the node", || self.child.try_wait().unwrap());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (code.code().unwrap_or(-1), rest)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // After `stop` there is nothing to kill, and that is fine.
        let _gone = self.child.kill();
    }
}

/// Sends one HTTP request, `what` being method and path, and gives the whole answer; `head` is one
/// more line of the head.
pub(crate) fn exchange(http: &str, what: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    let length = body.len();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n{head}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A command whose standard input stays open, as a terminal's does.
pub(crate) struct Waiting(Child);

impl Waiting {
    pub(crate) fn start(input: &str, arguments: &[&str]) -> Self {
        let mut child = systole(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
        Self(child)
    }
    /// Sends Ctrl-C and gives exit code, standard output, standard error.
    pub(crate) fn interrupt(mut self) -> (i32, String, String) {
        let input = self.0.stdin.take(); // `wait_with_output` would close it
        send("-INT", self.0.id());
        let ended = shown(&self.0.wait_with_output().unwrap());
        drop(input);
        ended
    }
}

fn send(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}
