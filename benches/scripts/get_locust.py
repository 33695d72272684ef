"""Locust's plain GET, with its quicker client and without waiting."""

from locust import FastHttpUser, constant, task


class Getter(FastHttpUser):
    """Gets the smallest page again and again."""

    wait_time = constant(0)

    @task
    def get(self):
        """Makes one request."""
        self.client.get("/")
