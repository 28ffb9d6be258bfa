"""Dagster's webserver, asked as its UI asks."""

from typing import Any

import httpx

_LOCATION = {"repositoryName": "__repository__", "repositoryLocationName": "demand"}
_START_SENSOR = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } ... on SensorNotFoundError { message } } }
"""
_SENSORS = """
query($of: RepositorySelector!) { sensorsOrError(repositorySelector: $of) {
  ... on Sensors { results { name sensorState { id } } } } }
"""
_STOP_SENSOR = """
mutation($state: String!) { stopSensor(id: $state) { __typename ... on PythonError { message } } }
"""
_SCHEDULES = """
query($of: RepositorySelector!) { schedulesOrError(repositorySelector: $of) {
  ... on Schedules { results { name scheduleState { id } } } } }
"""
_STOP_SCHEDULE = """
mutation($state: String!) { stopRunningSchedule(id: $state) { __typename ... on PythonError { message } } }
"""
_START_SCHEDULE = """
mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
  __typename ... on PythonError { message } } }
"""
_RUNS = """
{ runsOrError(limit: 50) { ... on Runs { results { runId jobName status tags { key value } } } } }
"""


class Dagster:
    """Of the one at an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """`data` of an answer."""
        asked = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.address}/graphql", json=asked, timeout=60).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def turn_on(self, sensor: str) -> None:
        """As the switch of a sensor does."""
        answer = self.graphql(_START_SENSOR, selector={**_LOCATION, "sensorName": sensor})["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def turn_off(self, *sensors: str) -> None:
        """As the switches of sensors do."""
        states = self.graphql(_SENSORS, of=_LOCATION)["sensorsOrError"]["results"]
        ids = {one["name"]: one["sensorState"]["id"] for one in states}
        for sensor in sensors:
            answer = self.graphql(_STOP_SENSOR, state=ids[sensor])["stopSensor"]
            assert answer["__typename"] == "StopSensorMutationResult", answer

    def turn_on_schedule(self, schedule: str) -> None:
        """As the switch of a schedule does."""
        answer = self.graphql(_START_SCHEDULE, selector={**_LOCATION, "scheduleName": schedule})["startSchedule"]
        assert answer["__typename"] == "ScheduleStateResult", answer

    def turn_off_schedule(self, schedule: str) -> None:
        """As the switch of a schedule does."""
        states = self.graphql(_SCHEDULES, of=_LOCATION)["schedulesOrError"]["results"]
        ids = {one["name"]: one["scheduleState"]["id"] for one in states}
        answer = self.graphql(_STOP_SCHEDULE, state=ids[schedule])["stopRunningSchedule"]
        assert answer["__typename"] == "ScheduleStateResult", answer

    def runs(self) -> list[dict[str, Any]]:
        """Every run: its id, job, status and tags, the newest first."""
        found = self.graphql(_RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]
