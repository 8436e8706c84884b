"""Django in one file: a form with CSRF protection, a session, and a stream."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.http import require_POST

# On Lambda, the Host is the front door's domain: name it in ALLOWED_HOST.
HOSTS = [os.environ["ALLOWED_HOST"]] if "ALLOWED_HOST" in os.environ else ["127.0.0.1", "localhost"]

settings.configure(
    # Sessions are signed with it: it must be the same in every execution environment.
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(),
    ALLOWED_HOSTS=HOSTS,
    CSRF_TRUSTED_ORIGINS=[f"https://{host}" for host in HOSTS],
    ROOT_URLCONF=__name__,
    # In cookies, since two requests may reach two environments.
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
)


def form(request: HttpRequest) -> HttpResponse:
    name = request.session.get("name", "nobody")
    token = get_token(request)
    return HttpResponse(
        f'Hello {name}<form method="post" action="/name">'
        f'<input type="hidden" name="csrfmiddlewaretoken" value="{token}"><input name="name"></form>'
    )


@require_POST
def set_name(request: HttpRequest) -> HttpResponse:
    request.session["name"] = request.POST["name"]
    return HttpResponse("saved\n")


def stream(_: HttpRequest) -> HttpResponseBase:
    def lines() -> Iterator[str]:
        for number in range(1, 6):
            yield f"line {number}\n"
            time.sleep(0.2)

    return StreamingHttpResponse(lines(), content_type="text/plain")


urlpatterns = [path("", form), path("name", set_name), path("stream", stream)]
app = get_wsgi_application()
