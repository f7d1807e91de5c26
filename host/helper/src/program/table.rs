//! The table itself. Whoever adds a line has read the program's manual for options that run commands, write elsewhere, or follow links.

use super::form::{Flag, Form, Joint, Operand, Separator, Value};
use super::{Links, Privilege, Program};
use Flag::{Alone, Before, Joined};
use Operand::{Existing, New, NewInside, NumberOr, OneOf, Remove};
use bulkhead_model::manifest::CommandEffect::{Change, Destroy, Read};

pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "btrfs", privilege: Privilege::Filesystems, links: Links::Followed, forms: BTRFS },
    Program { name: "chmod", privilege: Privilege::Files, links: Links::Followed, forms: CHMOD },
    Program { name: "cp", privilege: Privilege::Files, links: Links::FollowedWith(&["-H"]), forms: CP },
    Program { name: "df", privilege: Privilege::Files, links: Links::Followed, forms: DF },
    Program {
        name: "du",
        privilege: Privilege::Files,
        links: Links::FollowedWith(&["--dereference-args", "-D"]),
        forms: DU,
    },
    Program { name: "mkdir", privilege: Privilege::Files, links: Links::Followed, forms: MKDIR },
    Program { name: "rm", privilege: Privilege::Files, links: Links::Followed, forms: RM },
    Program {
        name: "stat",
        privilege: Privilege::Files,
        links: Links::FollowedWith(&["--dereference", "-L"]),
        forms: STAT,
    },
    Program { name: "sync", privilege: Privilege::Files, links: Links::Followed, forms: SYNC },
    Program { name: "true", privilege: Privilege::None, links: Links::Followed, forms: TRUE },
];

/// What most forms are.
const PLAIN: Form = Form {
    subcommand: &[],
    effect: Read,
    separator: Separator::Required,
    options: &[],
    operands: &[],
    joint: Joint::Any,
    privilege: None,
};

/// One mode only: a directory that all users of a tenant's clients may write to. Not here: `-R`, which meets what tenants put there.
const CHMOD: &[Form] = &[Form { subcommand: &["0777"], effect: Change, operands: &[Existing], ..PLAIN }];

/// Not here: options that follow links inside a tree (`-L`), that write elsewhere (`--backup`, `--suffix`, `--target-directory`).
/// `-H` follows only what the words name, which is the helper's own descriptor.
const CP: &[Form] = &[Form {
    subcommand: &[],
    effect: Change,
    separator: Separator::Required,
    options: &[
        Alone("--archive"),
        Alone("-a"),
        Alone("--recursive"),
        Alone("-R"),
        Alone("-r"),
        Alone("--no-dereference"),
        Alone("-P"),
        Alone("-H"),
        Alone("--no-target-directory"),
        Alone("-T"),
        Alone("--one-file-system"),
        Alone("-x"),
        Joined("--reflink", Value::OneOf(&["auto", "always", "never"])),
        Joined("--sparse", Value::OneOf(&["auto", "always", "never"])),
        Joined("--preserve", Value::OneOf(&["all", "mode,ownership,timestamps"])),
    ],
    operands: &[Existing, New],
    ..PLAIN
}];

const DF: &[Form] = &[Form {
    subcommand: &[],
    effect: Read,
    separator: Separator::Required,
    options: &[Joined("--block-size", Value::Number), Joined("--output", Value::Fixed)],
    operands: &[Existing],
    ..PLAIN
}];

const DU: &[Form] = &[Form {
    subcommand: &[],
    effect: Read,
    separator: Separator::Required,
    options: &[
        Alone("--summarize"),
        Alone("-s"),
        Alone("--bytes"),
        Alone("-b"),
        Alone("--apparent-size"),
        Alone("--dereference-args"),
        Alone("-D"),
        Alone("--one-file-system"),
        Alone("-x"),
        Joined("--block-size", Value::Number),
    ],
    operands: &[Existing],
    ..PLAIN
}];

const MKDIR: &[Form] = &[Form {
    subcommand: &[],
    effect: Change,
    separator: Separator::Required,
    options: &[Joined("--mode", Value::Number)],
    operands: &[New],
    ..PLAIN
}];

/// `rm` does not follow links, neither the one it is given nor those it meets.
const RM: &[Form] = &[Form {
    subcommand: &[],
    effect: Destroy,
    separator: Separator::Required,
    options: &[
        Alone("--recursive"),
        Alone("-r"),
        Alone("--force"),
        Alone("-f"),
        Alone("-rf"),
        Alone("--one-file-system"),
    ],
    operands: &[Remove],
    ..PLAIN
}];

const STAT: &[Form] = &[Form {
    subcommand: &[],
    effect: Read,
    separator: Separator::Required,
    options: &[
        Alone("--dereference"),
        Alone("-L"),
        Alone("--file-system"),
        Alone("-f"),
        Joined("--format", Value::Fixed),
        Before("-c", Value::Fixed),
    ],
    operands: &[Existing],
    ..PLAIN
}];

const SYNC: &[Form] = &[Form {
    subcommand: &[],
    effect: Change,
    separator: Separator::Required,
    options: &[Alone("--file-system"), Alone("-f")],
    operands: &[Existing],
    ..PLAIN
}];

const TRUE: &[Form] = &[Form { separator: Separator::Optional, ..PLAIN }];

/// Not here: `balance`, `device`, `replace`, and whatever names a device; of `send` and `receive` what reads or writes the stream as a
/// file, or passes over errors.
const BTRFS: &[Form] = &[
    Form {
        subcommand: &["subvolume", "create"],
        effect: Change,
        separator: Separator::Optional,
        options: &[],
        operands: &[New],
        ..PLAIN
    },
    Form {
        subcommand: &["subvolume", "delete"],
        effect: Destroy,
        separator: Separator::Optional,
        options: &[Alone("--commit-after"), Alone("-c"), Alone("--commit-each"), Alone("-C")],
        operands: &[Remove],
        ..PLAIN
    },
    Form {
        subcommand: &["subvolume", "snapshot"],
        effect: Change,
        separator: Separator::Optional,
        options: &[Alone("-r")],
        operands: &[Existing, New],
        ..PLAIN
    },
    Form {
        subcommand: &["subvolume", "show"],
        effect: Read,
        separator: Separator::Optional,
        options: &[Alone("--raw")],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["subvolume", "list"],
        effect: Read,
        separator: Separator::Optional,
        options: &[Alone("-o")],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["qgroup", "limit"],
        effect: Change,
        separator: Separator::Optional,
        options: &[Alone("-e")],
        operands: &[NumberOr("none"), Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["qgroup", "show"],
        effect: Read,
        separator: Separator::Optional,
        options: &[
            Alone("--raw"),
            Alone("-r"),
            Alone("-e"),
            Alone("-f"),
            Alone("-F"),
            Alone("-re"),
            Alone("-ref"),
            Alone("--sync"),
        ],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["filesystem", "sync"],
        effect: Change,
        separator: Separator::Optional,
        options: &[],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["filesystem", "usage"],
        effect: Read,
        separator: Separator::Optional,
        options: &[Alone("--raw"), Alone("-b")],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["property", "set"],
        effect: Change,
        separator: Separator::Optional,
        options: &[Alone("-f")],
        operands: &[Existing, OneOf(&["ro"]), OneOf(&["true", "false"])],
        ..PLAIN
    },
    Form {
        subcommand: &["inspect-internal", "rootid"],
        effect: Read,
        separator: Separator::Optional,
        options: &[],
        operands: &[Existing],
        ..PLAIN
    },
    Form {
        subcommand: &["send"],
        effect: Read,
        separator: Separator::Optional,
        options: &[Alone("--quiet"), Alone("-q"), Before("-p", Value::Existing)],
        operands: &[Existing],
        joint: Joint::Sends,
        ..PLAIN
    },
    Form {
        subcommand: &["receive"],
        effect: Change,
        separator: Separator::Optional,
        options: &[Alone("--quiet"), Alone("-q"), Alone("-e")],
        operands: &[NewInside],
        joint: Joint::Receives,
        privilege: Some(Privilege::Replicas),
    },
];

/// Shells, interpreters, and programs with an option, a subcommand or a configuration that runs a command or mounts what it likes.
pub(super) const RUN_OTHERS: &[&str] = &[
    "ash",
    "at",
    "awk",
    "bash",
    "batch",
    "bpftrace",
    "busybox",
    "bwrap",
    "chroot",
    "chrt",
    "cmake",
    "cpio",
    "crontab",
    "csh",
    "curl",
    "dash",
    "dbus-run-session",
    "dd",
    "debugfs",
    "doas",
    "docker",
    "ed",
    "emacs",
    "env",
    "expect",
    "find",
    "fish",
    "flock",
    "gawk",
    "gdb",
    "git",
    "guile",
    "ionice",
    "ip",
    "irb",
    "java",
    "jshell",
    "ksh",
    "less",
    "logrotate",
    "lua",
    "luajit",
    "machinectl",
    "make",
    "mawk",
    "mksh",
    "more",
    "mount",
    "nice",
    "node",
    "nodejs",
    "nohup",
    "nsenter",
    "openssl",
    "parallel",
    "perf",
    "perl",
    "php",
    "pkexec",
    "podman",
    "prlimit",
    "pwsh",
    "python",
    "rsync",
    "ruby",
    "run-parts",
    "runuser",
    "sash",
    "scp",
    "screen",
    "script",
    "sed",
    "setarch",
    "setpriv",
    "setsid",
    "sftp",
    "sh",
    "socat",
    "sqlite",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemctl",
    "systemd-run",
    "tar",
    "taskset",
    "tclsh",
    "tcsh",
    "time",
    "timeout",
    "tmux",
    "toybox",
    "unshare",
    "unzip",
    "vi",
    "vim",
    "watch",
    "wget",
    "wish",
    "xargs",
    "yash",
    "zfs",
    "zip",
    "zpool",
    "zsh",
];
