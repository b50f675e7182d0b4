//! temporary smoke test
use alloc::sync::Arc;
use ochre_hal::boot::BootInfo;
use ochre_hal::user::UserContext;
use crate::memory::*;
use crate::process::*;
use crate::config::Config;

/// smoke
pub fn main(boot: BootInfo) -> ! {
    let (config, _errors) = Config::parse(boot.cmdline);
    if let Some(port) = config.log_port { let _ = ochre_hal::debug::set_log_port(port); }
    crate::log_sink::start(config.log_level);
    let _ = ochre_hal::power::configure(ochre_hal::power::ExitPorts{status: config.status_port, exit: config.exit_port});
    log::info!("hello {:?}", ochre_hal::memory::stats());
    let space = Arc::new(AddressSpace::new(Limits::default()).expect("space"));
    log::info!("space");
    // mov eax,39; syscall; mov eax,57 (fork); syscall; test eax,eax; jz child; mov edi,-1; mov eax,61; xor esi,esi; xor edx,edx; xor r10d,r10d; syscall; mov edi,7; mov eax,231; syscall; child: mov edi, 3; mov eax,60; syscall
    let code: &[u8] = &[0xbb,0xa0,0x86,1,0, 0xb8,110,0,0,0, 0x0f,5, 0xff,0xcb, 0x75,0xf5, 0xbf,7,0,0,0, 0xb8,231,0,0,0, 0x0f,5];
    let at = space.map(MapRequest{ placement: Placement::Fixed(0x10000), len: 0x4000, protection: ochre_abi::mman::Protection::all(), flags: AreaFlags::empty(), source: None, privileged: true, refusal: None }).expect("map");
    space.write(at, code).expect("write");
    log::info!("mapped at {at:#x}");
    let mut user = UserContext::new().expect("context");
    user.reset(at, at+0x3ff0);
    let pid = clone::first_pid().expect("pid");
    assert_eq!(pid.0, 1);
    let thread = clone::first_process(Process::first(Arc::clone(&space)), ThreadState::new(user, space)).expect("process");
    thread.wake();
    drop(boot);
    log::info!("run");
    crate::sched::run()
}
