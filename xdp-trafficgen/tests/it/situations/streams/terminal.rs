//! What a terminal shows: a pseudo-terminal, whose output vt100 interprets.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    num::NonZero,
    os::unix::fs::OpenOptionsExt as _,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use vt100::{Color, Parser};

use crate::{
    harness::{Finished, RECEIVER_MAC, Running, Stage, ip, reached, sink, trafficgen},
    situations::table::row,
};

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// A window of the usual size, with a program that runs in it.
struct Window {
    screen: Arc<Mutex<Parser>>,
    keyboard: File,
    program: Running,
}

impl Window {
    /// setsid(1) makes the terminal the program's controlling one, so that Ctrl-C reaches it.
    fn open(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let window = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, window).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let side = || {
            let custom = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
            let file =
                OpenOptions::new().read(true).write(true).custom_flags(custom).open(&name).unwrap();
            Some(Stdio::from(file))
        };
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_xdp-trafficgen")]).args(arguments);
        for variable in ["RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm").envs(variables.iter().copied());
        let program = Running::with(command, [side(), side(), side()]);
        let keyboard = File::from(keyboard);
        let [rows, columns] = [ROWS, COLUMNS].map(|count| NonZero::new(count).unwrap());
        let screen = Arc::new(Mutex::new(Parser::new(rows, columns, 1000)));
        let (mut output, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO comes when the last process has closed the other side.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                seen.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { screen, keyboard, program }
    }

    /// The lines on the screen, without trailing blanks.
    fn lines(&self) -> Vec<String> {
        lines(&self.screen)
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&[String]) -> bool) {
        let screen = Arc::clone(&self.screen);
        self.program.wait_until(what, |_| holds(&lines(&screen)));
    }

    /// What stays on the screen after Ctrl-C, and the exit status.
    fn interrupt(mut self) -> (Vec<String>, Option<i32>) {
        self.keyboard.write_all(b"\x03").unwrap();
        let code = self.program.end().code;
        reached(|| lines(&self.screen).iter().any(|line| line.starts_with("duration: ")));
        (lines(&self.screen), code)
    }
}

fn lines(screen: &Mutex<Parser>) -> Vec<String> {
    let screen = screen.lock().unwrap();
    screen.screen().rows(0, COLUMNS).map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn ctrl_c_removes_the_table() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let arguments = ["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--rate", "1kpps"];
    let mut window = Window::open(&[], &arguments);
    window.wait_for("the table is there", |lines| {
        lines.iter().any(|line| line.starts_with(" xtg0 "))
    });
    let table = window.lines();
    let heading = |line: &&String| line.starts_with(" port ");
    let shown = table.iter().find(heading).unwrap();
    for word in ["sent", "dropped", "now", "late", "never sent"] {
        assert!(shown.contains(word), "no `{word}`, or it is broken: {table:#?}");
    }
    assert!(
        !table.iter().any(|line| line.contains("(xtg0)")),
        "a port named as its interface: {table:#?}"
    );
    let (left, code) = window.interrupt();
    assert_eq!(code, Some(0), "{left:#?}");
    // Only the report's lines are left.
    assert_eq!(left.iter().filter(heading).count(), 1, "{left:#?}");
    assert!(left.iter().find(heading).unwrap().contains("attempted"), "{left:#?}");
    assert!(!left.iter().any(|line| line.contains("^C")), "{left:#?}");
    row("18", "udp … --rate 1kpps, on 80 × 24, Ctrl-C", shown, 0, "nothing of the table stays");
}

/// With thirty ports, the table has a total and a line that counts the ports without room; a remark
/// about all ports appears once.
#[test]
fn many_ports_fit_the_screen() {
    let Some(_stage) = Stage::set() else { return };
    let mut text = String::new();
    let mut receivers = Vec::new();
    for index in 0..30 {
        ip(&format!("link add p{index} type veth peer name q{index}"));
        ip(&format!("link set p{index} up"));
        ip(&format!("link set q{index} up"));
        receivers.push(sink(&format!("q{index}")));
        text += &format!(
            "[[ports]]\nname = \"p{index}\"\ninterface = \"p{index}\"\nrate = \"10pps\"\n[[flows]]\nname = \"f{index}\"\n\
             port = \"p{index}\"\npacket = [{{ ethernet = {{ dst = \"02:00:00:00:00:02\" }} }}, {{ ipv4 = {{}} }}]\n"
        );
    }
    let config = super::file(&text);
    let mut window = Window::open(&[], &["run", config.path().to_str().unwrap()]);
    window.wait_for("the table is there", |lines| {
        lines.iter().any(|line| line.starts_with(" total "))
    });
    let screen = window.lines();
    let more = screen.iter().find(|line| line.starts_with("… and ")).unwrap();
    let shown = screen.iter().filter(|line| line.starts_with(" p")).count() - 1;
    assert_eq!(*more, format!("… and {} more ports", 30 - shown), "{screen:#?}");
    assert!(
        screen.iter().any(|line| line.starts_with(" port")),
        "the heading is within the screen: {screen:#?}"
    );
    let more = more.clone();
    let (left, code) = window.interrupt();
    assert_eq!(code, Some(0), "{left:#?}");
    let counted = left.iter().find(|line| line.contains("interfaces counted the same")).unwrap();
    assert!(counted.starts_with("ports p0, p1, p2 and 27 more: "), "{left:#?}");
    row(
        "18",
        "run 30-ports.toml, on 80 × 24",
        &format!("{more}; {counted}"),
        0,
        &format!("{shown} ports and the total"),
    );
}

/// A terminal that can only print, such as Emacs' shell, gets one line a second.
#[test]
fn a_dumb_terminal_has_lines() {
    let Some(_stage) = Stage::set() else { return };
    let _sink = sink("xtg1");
    let mut window = Window::open(
        &[("TERM", "dumb")],
        &["udp", "xtg0", "--dst-mac", RECEIVER_MAC, "--rate", "1kpps"],
    );
    let says =
        |lines: &[String]| lines.iter().find(|line| line.contains(" s xtg0: sent ")).cloned();
    window.wait_for("a line", |lines| says(lines).is_some());
    let line = says(&window.lines()).unwrap();
    let (left, code) = window.interrupt();
    assert_eq!(code, Some(0), "{left:#?}");
    row("18", "TERM=dumb udp …", &line, 0, "");
}

/// Errors are coloured on a terminal, unless `NO_COLOR` is set; `CLICOLOR_FORCE` colours them in a
/// file too.
#[test]
fn colours_are_asked_for() {
    const WRONG: [&str; 4] = ["udp", "xtg0", "--rate", "fast"];
    let on_terminal = |variables: &[(&str, &str)]| {
        let Window { screen, program, keyboard: _keyboard } = Window::open(variables, &WRONG);
        assert_eq!(program.end().code, Some(2));
        let said = || {
            lines(&screen)
                .into_iter()
                .find(|line| line.contains("--rate"))
                .filter(|line| line.len() > 20)
        };
        reached(|| said().is_some());
        let screen = screen.lock().unwrap();
        let cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
        let coloured = cells.filter(|(row, column)| {
            screen.screen().cell(*row, *column).is_some_and(|cell| cell.fgcolor() != Color::Default)
        });
        coloured.count()
    };
    let (usual, none) = (on_terminal(&[]), on_terminal(&[("NO_COLOR", "1")]));
    assert!(usual > 0, "no colours on a terminal");
    assert_eq!(none, 0, "colours in spite of NO_COLOR");
    let forced = |value: &str| {
        let mut command = trafficgen(&WRONG);
        command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", value);
        Finished::of(command).stderr
    };
    assert!(forced("1").contains('\x1b') && !forced("").contains('\x1b'));
    let error = forced("");
    row(
        "18",
        "NO_COLOR=1 udp … --rate fast",
        error.lines().next().unwrap(),
        2,
        &format!("{none} characters coloured, {usual} without"),
    );
}
