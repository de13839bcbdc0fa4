//! The C interface, as far as a call needs it, and a safe form of it.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int};

#[link(name = "localvqe")]
extern "C" {
    fn localvqe_new(model_path: *const c_char) -> usize;
    fn localvqe_free(ctx: usize);
    fn localvqe_creation_error() -> *const c_char;
    fn localvqe_last_error(ctx: usize) -> *const c_char;
    fn localvqe_process_frame_s16(
        ctx: usize,
        mic: *const i16,
        reference: *const i16,
        hop_samples: c_int,
        out: *mut i16,
    ) -> c_int;
}

/// The step of every model: 16 ms of mono samples at 16 kHz.
pub const HOP: usize = 256;

pub type Hop = [i16; HOP];

/// One call. It may move between threads, and `&mut` keeps it to one at a time.
pub struct Stream(usize);

/// `text` is a string that the library keeps for now.
unsafe fn owned(text: *const c_char) -> String {
    CStr::from_ptr(text).to_string_lossy().into_owned()
}

impl Stream {
    /// Loads a .gguf file; the error names it and says what is wrong.
    pub fn new(model: &str) -> Result<Stream, String> {
        let path = CString::new(model).map_err(|_| format!("{model:?}: a path has no NUL"))?;
        // SAFETY: `path` lives through the call, and the error text until the next call of this thread.
        unsafe {
            match localvqe_new(path.as_ptr()) {
                0 => Err(owned(localvqe_creation_error())),
                handle => Ok(Stream(handle)),
            }
        }
    }

    /// Takes the next hop of both signals; gives the hop of `mic` before this one, without its echo.
    pub fn process(&mut self, mic: &Hop, reference: &Hop) -> Result<Hop, String> {
        let mut out = [0; HOP];
        // SAFETY: the handle is alive until drop, and each array has as many samples as the call says.
        unsafe {
            let (mic, reference) = (mic.as_ptr(), reference.as_ptr());
            match localvqe_process_frame_s16(self.0, mic, reference, HOP as c_int, out.as_mut_ptr())
            {
                0 => Ok(out),
                _ => Err(owned(localvqe_last_error(self.0))),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle.
        unsafe { localvqe_free(self.0) }
    }
}
