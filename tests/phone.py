"""A real Chromium with a profile that lasts: what was written survives closing it, and killing it."""

import contextlib
import signal
from pathlib import Path
from typing import Any

import psutil

from tests.machine import chromium

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # The address bar's popups are pages of their own, and headless Chromium spends more on them than on ours. Of two such
    # switches the last one counts, so what Playwright turns off is named again.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,AimEnabled,AvoidCorsURLLoaderRestartOnRedirect,"
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,"
    "LensOverlay,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,PreconnectToSearch,"
    "ThirdPartyStoragePartitioning,Translate",
)
# Playwright denies whatever is not named here, Background Sync included.
PERMISSIONS = ("geolocation", "notifications", "background-sync")
# The middle of London, where the public houses of the real data are.
LONDON = {"latitude": 51.5117, "longitude": -0.1240, "accuracy": 12.0}


class Browser:
    """One Chromium on one profile folder.

    `phone` gives it the size, touch and user agent of a small Android phone. An ordinary context is "incognito" to
    Chromium (no push, not installable), so the context is always a persistent one. Without `permissions` the profile's own
    count; `ignore_default_args` leaves switches out, of Playwright's and of ours.
    """

    def __init__(
        self,
        playwright: Any,
        profile: Path,
        *,
        phone: bool = True,
        locale: str = "en-GB",
        time_zone: str = "Europe/London",
        geolocation: dict[str, float] | None = None,
        permissions: tuple[str, ...] | None = PERMISSIONS,
        switches: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.profile = profile
        profile.mkdir(parents=True, exist_ok=True)
        shape: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
        if phone:
            shape = {k: v for k, v in playwright.devices["Pixel 7"].items() if k != "default_browser_type"}
        self.context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium(),
            args=[*(one for one in SWITCHES if one not in options.get("ignore_default_args", ())), *switches],
            permissions=None if permissions is None else list(permissions),
            geolocation=geolocation or LONDON,
            locale=locale,
            timezone_id=time_zone,
            **{**shape, **options},
        )
        self.page = self.context.pages[0] if self.context.pages else self.context.new_page()

    def kill(self) -> None:
        """Ends the browser the way a flat battery does: SIGKILL to each of its processes, no farewell."""
        mark = f"--user-data-dir={self.profile}"
        killed = []
        for process in psutil.process_iter(["cmdline"]):
            if mark in (process.info["cmdline"] or ()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    children = process.children(recursive=True)
                    process.send_signal(signal.SIGKILL)
                    killed += [process, *children]
                    for child in children:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            child.send_signal(signal.SIGKILL)
        psutil.wait_procs(killed, timeout=10)
        for lock in self.profile.glob("Singleton*"):
            lock.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes it in an orderly way; nothing happens when it is closed or dead already."""
        with contextlib.suppress(Exception):
            self.context.close()
