// Tells the server the reader's time zone, for the pages that follow. Without this they say UTC.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cookie = `timezone=${zone}`;
  if (zone && !document.cookie.split("; ").includes(cookie)) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${cookie}; Path=/; Max-Age=34560000; SameSite=Lax${secure}`;
  }
}
