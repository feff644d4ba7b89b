//! Help and errors, word for word: they are what most people ever read of this project.

use crate::command::run;
use expect_test::{Expect, expect};

fn check(arguments: &[&str], expected: &Expect) {
    let (code, stdout, stderr) = run(arguments);
    expected.assert_eq(&format!("exit {code}\n{stdout}{stderr}"));
}

#[test]
fn the_whole_command_explains_itself() {
    check(
        &["--help"],
        &expect![[r#"
            exit 0
            The event platform of a healthcare organisation

            Usage: systole [OPTIONS] <COMMAND>

            Commands:
              serve        Runs a node until it is stopped
              demo         Starts a node, feeds it sample patients and shows what flows
              ingest       Reads files of a healthcare format and writes their events
              topic        Lists, creates, describes, deletes topics
              produce      Writes records
              consume      Reads records
              group        Lists and describes consumer groups
              config       Prints and checks configuration
              doctor       Looks for what could keep a node from working here
              explain      Explains an error code
              completions  Prints a completion script for a shell

            Options:
              -h, --help     Print help
              -V, --version  Print version
                  --json     Print JSON, also for errors

            Examples:
              systole demo                                   see clinical events flow
              systole serve --data ./data                    run a node
              systole ingest fhir bundles/*.json             FHIR bundles become events
              systole consume clinical.observation --follow  watch them
              systole explain SYS-1101                       what an error means

            Exit codes: 0 done, 1 failed, 2 done in part, 64 wrong usage, 130 interrupted twice.
        "#]],
    );
}

#[test]
fn serve_explains_itself() {
    check(
        &["serve", "--help"],
        &expect![[r#"
            exit 0
            Runs a node until it is stopped

            Usage: systole serve [OPTIONS]

            Options:
                  --data <DIR>           Directory that holds everything the node keeps. Made if it does not
                                         exist
                  --kafka <HOST:PORT>    Where Kafka clients connect; port 0 takes a free one
                  --http <HOST:PORT>     Where HTTP clients connect; port 0 takes a free one
                  --config <FILE>        Configuration file; `systole config default` prints one
                  --cluster <HOST:PORT>  Run over this Apache Kafka cluster instead of the embedded broker
              -h, --help                 Print help
                  --json                 Print JSON, also for errors

            Examples:
              systole serve --data ./data
              systole serve --data /var/lib/systole --config /etc/systole.toml
              systole serve --data ./data --kafka 127.0.0.1:0 --http 127.0.0.1:0
              systole serve --cluster kafka-1:9092,kafka-2:9092

            Prints one line, `ready kafka=HOST:PORT http=HOST:PORT`, when clients may come. Ctrl-C or SIGTERM
            stops it in order; a second one ends it at once, and nothing that was acknowledged is lost.
        "#]],
    );
}

#[test]
fn an_unknown_option_is_an_error_with_a_code_and_a_cure() {
    check(
        &["serve", "--prot", "1"],
        &expect![[r#"
        exit 64
        error[SYS-9001]: unexpected argument '--prot' found
          Usage: systole serve [OPTIONS]
          cure: Correct it; `systole COMMAND --help` lists the options of a command with examples.
    "#]],
    );
}

#[test]
fn errors_are_json_when_that_was_asked_for() {
    check(
        &["ingest", "fhir", "/no/such/file.json", "--json"],
        &expect![[r#"
        exit 1
        {"error":{"code":"SYS-9002","cure":"Check the path and its permissions; `-` reads standard input.","message":"/no/such/file.json: No such file or directory (os error 2)"}}
    "#]],
    );
}

#[test]
fn an_error_code_is_explained() {
    check(
        &["explain", "sys-1101"],
        &expect![[r#"
        exit 0
        # SYS-1101: a listener without authentication is reachable from the network
        ## What happened
        A Kafka or HTTP listener was given an address that other machines can reach, and nobody is asked who
        they are. Anyone on the network could read patient data, so the process did not start.
        ## What to do
        For Kafka clients, configure a listener that asks ([security](../security.md)): SASL, or certificates that
        are required. The HTTP listener opens on `127.0.0.1` or `[::1]` only; to reach it from another machine, put
        an authenticating proxy or a tunnel (SSH, WireGuard) before it.
    "#]],
    );
    check(
        &["explain", "SYS-9999"],
        &expect![[r#"
        exit 1
        error[SYS-9006]: no page for SYS-9999
          cure: Check the number; codes look like SYS-2009. The pages of every version are in `docs/errors/`.
    "#]],
    );
}

#[test]
fn a_wrong_configuration_is_refused_with_every_problem() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("systole.toml");
    std::fs::write(
        &file,
        "[logs]\nlevle = 'info'\n[broker]\nnode_id = -1\n[gateway]\nlisten = '0.0.0.0:80'\n",
    )
    .unwrap();
    check(
        &["config", "check", file.to_str().unwrap()],
        &expect![[r#"
            exit 1
            error[SYS-1001]: the configuration cannot be used:
              logs.levle: unknown field `levle`, expected `level` or `form`; `systole config default` lists every setting
              broker.node_id: is negative; use 0 or more
              gateway.listen: the http listener 0.0.0.0:80 is open to the network and asks nobody who they are; listen on 127.0.0.1 or [::1]
              cure: Correct each place; `systole config default` lists every setting with its meaning, and `systole config check FILE` tries a file without starting anything.
        "#]],
    );
}

#[test]
fn the_default_configuration_is_a_good_one() {
    let (code, stdout, _) = run(&["config", "default"]);
    assert_eq!(code, 0);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("systole.toml");
    std::fs::write(&file, stdout).unwrap();
    check(
        &["config", "check", file.to_str().unwrap()],
        &expect![[r#"
        exit 0
        the configuration can be used
    "#]],
    );
}

#[test]
fn completions_exist_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, _) = run(&["completions", shell]);
        assert!(code == 0 && stdout.contains("systole"), "{shell}");
    }
}
