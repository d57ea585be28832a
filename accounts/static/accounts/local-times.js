// Tells the server the reader's time zone, for the pages that follow. Without this they say UTC.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = location.protocol === "https:";
  const cookie = `${secure ? "__Host-" : ""}timezone=${zone}`;
  if (zone && !document.cookie.split("; ").includes(cookie)) {
    document.cookie = `${cookie}; Path=/; Max-Age=34560000; SameSite=Lax${secure ? "; Secure" : ""}`;
  }
}
