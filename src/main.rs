//! The program: sets up what is the whole process's, and runs the command line.

use std::process::ExitCode;

use estatebase::{auth, commands};

/// Many small allocations on many threads are its strength, and this server's habit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_to_small_pages();
    auth::install_crypto();
    match actix_web::rt::System::new().block_on(commands::run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("estatebase: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The allocator asks for pages of 2 MiB, of which the whole counts as soon as a byte is touched. Most of what
/// thousands of idle sockets hold is buffers that they use a little of: in small pages a socket takes 17 KiB,
/// not 22. It holds for what is started from here too, as the private Postgres.
fn keep_to_small_pages() {
    // A kernel that can't is one that gives no large pages.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
