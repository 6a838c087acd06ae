"""Bearer tokens that the LMS has issued itself."""

from __future__ import annotations

from typing import Any

from oauth2_provider import models as dot_models
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed


class BearerAuthentication(BaseAuthentication):
    www_authenticate_realm = "api"
    allow_inactive_users = False

    def authenticate(self, request: Any) -> Any:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed({"error_code": "token_malformed", "developer_message": "Malformed token"})
        token = dot_models.get_access_token_model().objects.filter(token=parts[1].decode(errors="replace")).first()
        if token is None:
            raise AuthenticationFailed({"error_code": "token_nonexistent", "developer_message": "Token does not exist"})
        if token.is_expired():
            raise AuthenticationFailed({"error_code": "token_expired", "developer_message": "Token has expired"})
        if not (token.user.is_active or self.allow_inactive_users):
            raise AuthenticationFailed({"error_code": "user_disabled", "developer_message": "User account is disabled"})
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return f'Bearer realm="{self.www_authenticate_realm}"'


class BearerAuthenticationAllowInactiveUser(BearerAuthentication):
    allow_inactive_users = True
