"""Paths of the sample LMS."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from sample_lms import views

urlpatterns = [
    path("", views.StartPage.as_view(), name="start"),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("login/", LoginView.as_view(template_name="sample_lms/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="swagger"),
    # Old keys have slashes in them.
    path("courses/<path:course_key>/jump_to/<path:block_key>/", views.BlockPage.as_view(), name="jump_to"),
    path("courses/<path:course_key>/", views.BlockPage.as_view(), name="course"),
    path("api/completion/", include("completion_aggregator.urls")),
]
