//! Tests inside the kernel, where tables and faults are real.
