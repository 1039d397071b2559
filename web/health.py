"""What the daemon knows of its own faults: /healthz and /metrics tell them, its wiring finds them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Everything that can be wrong while containers are still served."""

    journal_writable: bool = True
    events_on_disk: bool = True
    policy_errors: int = 0
    unkept: int = 0  # containers beyond the descriptor budget

    def reasons(self) -> list[str]:
        """Why it is degraded, for everybody who may reach the port: no paths, no names."""
        told = {
            "the journal cannot be written: limits stay as they are": not self.journal_writable,
            "events do not reach the disk": not self.events_on_disk,
            "policy files have errors": self.policy_errors > 0,
            "too few file descriptors for all containers": self.unkept > 0,
        }
        return [reason for reason, is_so in told.items() if is_so]
