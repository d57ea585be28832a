-- An OpenID provider, to which users give their passwords without a client application between. Each refresh replaces the
-- refresh token. The signature is the cheapest that it has. Access tokens live as long as those of all peers.
INSERT INTO g_plugin_module_instance (gpmi_module, gpmi_name, gpmi_parameters) VALUES
    ('oidc', 'oidc', jsonb_build_object(
        'iss', 'http://localhost',
        'jwt-type', 'sha',
        'jwt-key-size', '256',
        'key', 'the secret of tokens that are only measured, as long as it has to be',
        'access-token-duration', 600,
        'refresh-token-duration', 1209600,
        'code-duration', 600,
        'refresh-token-rolling', true,
        'refresh-token-one-use', 'always',
        'allow-non-oidc', true,
        'auth-type-password-enabled', true,
        'auth-type-refresh-enabled', true,
        'subject-type', 'public'
    )::text);
INSERT INTO g_user_scope (gus_name) VALUES ('openid');
