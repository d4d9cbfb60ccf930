//! `print!`, `println!` and `eprintln!` as this workspace has them: nobody may be reading (`cargo
//! xtask bench | head`), and what is under way goes on nevertheless. The standard library's would
//! panic.

macro_rules! print {
    ($($arguments:tt)*) => {{
        use std::io::Write as _;
        // Best effort: there is nobody to tell.
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
        // Best effort: there is nobody to tell.
        let _ = std::io::stderr().write_fmt(format_args!("{}\n", format_args!($($arguments)*)));
    }};
}
