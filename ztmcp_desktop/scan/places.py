"""The places on a person's disk that hold keys, or that programs run and obey: names only, no logic.

The AI clients' files are those of the clients' own documentation (Claude, Cursor, VS Code, Windsurf, Codex, Gemini,
Zed, Cline, LM Studio, Kiro, Continue, Goose, OpenCode, Amp). All names are in lower case, as they are compared.
"""

from pathlib import Path

Parts = tuple[str, ...]


def _table(text: str) -> frozenset[Parts]:
    return frozenset(tuple(line.strip().casefold().split("/")) for line in text.splitlines() if line.strip())


CLOSED_ROOTS = tuple(
    Path(root) for root in ("/etc", "/proc", "/sys", "/dev", "/run", "/boot", "/usr", "/bin", "/sbin", "/lib", "/lib64")
)

SOCKET_PLACES = _table("""
    tmp/.x11-unix
    tmp/.ice-unix
    tmp/.xim-unix
""")

HIDDEN_ANYWHERE = _table("""
    .ssh
    .gnupg
    .aws
    .kube
    .git-credentials
    .netrc
    .pgpass
    .password-store
    .xauthority
""")

READ_ONLY_ANYWHERE = _table("""
    .git/hooks
    .git/config
    .git/config.worktree
    .git/commondir
    .mcp.json
    .cursor/mcp.json
    .vscode/mcp.json
    .vscode/tasks.json
    .codex/config.toml
    .gemini/settings.json
    .kiro/settings/mcp.json
    .claude/settings.json
    .claude/settings.local.json
    .envrc
""")

_KEYS = """
    .azure
    .docker
    .config/gcloud
    .config/gh
    .config/hub
    .config/op
    .config/rclone
    .config/sops
    .config/helm
    .config/containers/auth.json
    .npmrc
    .pypirc
    .vault-token
    .terraform.d
    .terraformrc
    .cargo/credentials
    .cargo/credentials.toml
    .gem/credentials
    .m2/settings.xml
    .gradle/gradle.properties
    .pki
    .iceauthority
    .bash_history
    .zsh_history
    .python_history
    .node_repl_history
    .psql_history
    .mysql_history
    .local/share/keyrings
    .local/share/kwalletd
    .config/kwalletrc
    library/keychains
    appdata/roaming/microsoft/credentials
    appdata/local/microsoft/credentials
    appdata/roaming/microsoft/protect
    appdata/local/microsoft/vault
"""

_BROWSERS = """
    .mozilla
    .thunderbird
    .config/google-chrome
    .config/google-chrome-beta
    .config/google-chrome-unstable
    .config/chromium
    .config/bravesoftware
    .config/microsoft-edge
    .config/microsoft-edge-dev
    .config/vivaldi
    .config/opera
    .librewolf
    .zen
    .var/app
    snap/firefox
    snap/chromium
    snap/thunderbird
    library/application support/google/chrome
    library/application support/firefox
    library/application support/bravesoftware
    library/application support/microsoft edge
    library/safari
    library/cookies
    appdata/local/google/chrome
    appdata/local/microsoft/edge
    appdata/local/bravesoftware
    appdata/roaming/mozilla
"""

_CLIENTS = """
    .claude.json
    .claude
    .config/claude
    library/application support/claude
    appdata/roaming/claude
    .cursor
    .config/cursor
    library/application support/cursor
    appdata/roaming/cursor
    .config/code/user
    .config/code - insiders/user
    .config/vscodium/user
    library/application support/code/user
    library/application support/code - insiders/user
    appdata/roaming/code/user
    appdata/roaming/code - insiders/user
    .vscode-server/data/user
    .codeium
    .codex
    .gemini
    .config/zed
    appdata/roaming/zed
    .lmstudio
    .kiro
    .continue
    .config/goose
    .config/opencode
    .local/share/opencode
    .config/amp
    .mcp.json
"""

HIDDEN_AT_HOME = _table(_KEYS) | _table(_BROWSERS) | _table(_CLIENTS) | HIDDEN_ANYWHERE

READ_ONLY_AT_HOME = _table("""
    .bashrc
    .bash_profile
    .bash_login
    .bash_logout
    .bash_aliases
    .profile
    .zshrc
    .zprofile
    .zshenv
    .zlogin
    .zlogout
    .oh-my-zsh
    .cshrc
    .tcshrc
    .login
    .kshrc
    .inputrc
    .config/fish
    .config/nushell
    .config/powershell
    .xinitrc
    .xsession
    .xsessionrc
    .xprofile
    .pam_environment
    .config/environment.d
    .config/autostart
    .config/autostart-scripts
    .config/plasma-workspace
    .config/systemd
    .config/openbox
    .config/i3
    .config/sway
    .config/hypr
    .config/user-dirs.dirs
    .local/share/systemd
    .local/share/applications
    .local/share/dbus-1
    .local/share/nautilus/scripts
    .local/bin
    bin
    .gitconfig
    .config/git
    .config/pip
    .vimrc
    .vim
    .config/nvim
    .emacs
    .emacs.d
    .config/emacs
    .tmux.conf
    .config/tmux
    .config/direnv
    library/launchagents
    appdata/roaming/microsoft/windows/start menu/programs/startup
    documents/powershell
    documents/windowspowershell
""")
