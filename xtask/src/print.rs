//! `print!`, `println!` and `eprintln!` of this workspace ignore a closed output, so that the work
//! goes on (`cargo xtask bench | head`). The standard library's would panic.

macro_rules! print {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        // Best effort: without a reader, the failure cannot be reported.
        let _ = std::io::stdout().write_fmt(format_args!($($arguments)*));
    }};
}

macro_rules! println {
    ($($arguments:tt)*) => {
        print!("{}\n", format_args!($($arguments)*))
    };
}

macro_rules! eprintln {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        // Best effort: without a reader, the failure cannot be reported.
        let _ = std::io::stderr().write_fmt(format_args!("{}\n", format_args!($($arguments)*)));
    }};
}
