"""Errors a user can act on: one small tree, each message one line that says expected, got, and what to do."""


class DemandError(Exception):
    """Base of every error this package raises on purpose; the command line prints it without a traceback."""


class SettingsError(DemandError):
    """An environment variable or option is unknown or has a value that is not allowed."""


class LandingError(DemandError):
    """The landing zone or a file in it cannot be read: missing folder, no CSV, truncated gzip."""


class SchemaError(DemandError):
    """A file was read but its rows are not what the contract says: columns, types, keys, dates."""


class LakeError(DemandError):
    """The lake does not hold the data that was asked for, or not as it was written."""


class StoreError(DemandError):
    """The SQL store is unreachable, behind its migrations, or was asked for something it does not hold."""


class StoreUnavailableError(StoreError):
    """The server of the SQL store cannot be reached, or has dropped the connection; it may come back by itself."""


class ModelError(DemandError):
    """A model cannot be trained, loaded or promoted as asked."""


class EngineError(DemandError):
    """The cluster that heavy work was to run on cannot be reached, is of other code, or lost too many workers."""


class DecisionError(DemandError):
    """What a planner decides is not taken; a store that cannot be used is another error."""


class UnknownForecastError(DecisionError):
    """No vintage forecasts the series and week that were named."""


class IdempotencyConflictError(DecisionError):
    """An idempotency key was used before, for another request."""


class OverrideError(DecisionError):
    """A planner's number is not taken: its week is locked, somebody else was faster, or its reason is no known code."""


class UnknownOverrideError(OverrideError):
    """There is no override or upload of that number."""


class ScenarioError(DemandError):
    """The changes of a scenario cannot be read or applied, its name is taken, or it cannot be adopted."""


class DeliveryError(DemandError):
    """A channel, or a target of events, did not take what it was sent."""


class DeploymentError(DemandError):
    """The parts of a deployment do not work together."""


class ApiKeyError(DemandError):
    """A key of the service cannot be made or revoked as asked."""
