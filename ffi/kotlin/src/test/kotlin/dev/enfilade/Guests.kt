package dev.enfilade

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody

private val http = OkHttpClient()

internal fun socketUrl(server: String): String = server.replaceFirst("http", "ws").trimEnd('/') + "/ws"

/** A guest's token, fetched as every client without an account does. */
internal suspend fun guestToken(
    server: String,
    name: String,
): String =
    withContext(Dispatchers.IO) {
        val body = JsonObject().apply { addProperty("name", name) }.toString()
        val request =
            Request
                .Builder()
                .url("$server/api/guest")
                .post(body.toRequestBody("application/json".toMediaType()))
                .build()
        http.newCall(request).execute().use { response ->
            check(response.isSuccessful) { "${response.code}: ${response.body.string()}" }
            JsonParser
                .parseString(response.body.string())
                .asJsonObject
                .get("token")
                .asString
        }
    }
