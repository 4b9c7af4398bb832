//! The program: sets up what is the whole process's, and runs the command line.

use std::process::ExitCode;

use estatebase::{auth, commands};

/// Many small allocations on many threads are its strength, and this server's habit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    auth::install_crypto();
    match actix_web::rt::System::new().block_on(commands::run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("estatebase: {error:#}");
            ExitCode::FAILURE
        }
    }
}
