package parallel

const sysGetcpu = 309 // which syscall does not name
