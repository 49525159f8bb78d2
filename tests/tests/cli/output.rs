//! Colours and pipes.

use std::process::Stdio;

use crate::program::{Desk, Run};

const ESCAPE: char = '\u{1b}';

fn broken() -> Desk {
    Desk::with("[a]\ntimout = 1\n")
}

#[test]
fn no_colour_goes_into_a_pipe() {
    let run = broken().run(&["check"]);
    assert!(!run.out.contains(ESCAPE), "{run:?}");
    let help = Desk::new().run(&["--help"]).said();
    assert!(!help.contains(ESCAPE), "{help}");
    let complaint = Desk::new().run(&["chek"]).failed();
    assert!(!complaint.contains(ESCAPE), "{complaint}");
}

#[cfg(unix)]
mod on_a_terminal {
    use std::fs::File;
    use std::io::Read;

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Runs `check` with a terminal as its standard output; what the terminal was sent.
    fn sent_to_a_terminal(desk: &Desk) -> String {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let other_end = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut child = desk.command(&["check"]).stdout(Stdio::from(other_end)).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let mut sent = Vec::new();
        // A terminal whose other end is closed is an error, once all has been read.
        let _ = File::from(terminal).read_to_end(&mut sent);
        String::from_utf8(sent).unwrap()
    }

    #[test]
    fn a_terminal_gets_colours_unless_they_are_not_wanted() {
        let of_terminal = |desk: Desk| sent_to_a_terminal(&desk.variable("TERM", "xterm-256color"));
        let coloured = of_terminal(broken());
        assert!(
            coloured.contains(ESCAPE) && coloured.contains("unknown key"),
            "{coloured}"
        );
        let plain = of_terminal(broken().variable("NO_COLOR", "1"));
        assert!(!plain.contains(ESCAPE) && plain.contains("unknown key"), "{plain}");
        let dumb = sent_to_a_terminal(&broken().variable("TERM", "dumb"));
        assert!(!dumb.contains(ESCAPE), "{dumb}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    for arguments in [
        &["schema"][..],
        &["schema", "--reference"],
        &["env", "default"],
        &["explain", "default"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Run::of(
            Desk::new()
                .command(arguments)
                .stdout(writer)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
                .wait_with_output()
                .unwrap(),
        );
        assert_eq!((run.code, run.complaint.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_exit_code_2() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Run::of(
        Desk::new()
            .command(&["schema"])
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(2));
    assert!(
        run.complaint.starts_with("httputil: the output can't be written: "),
        "{}",
        run.complaint
    );
}
